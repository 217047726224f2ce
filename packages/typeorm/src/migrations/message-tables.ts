import { MESSAGE_STATE } from '../sql/dialect.js';
import type { DatabaseTypes } from './1763700000000-create-taskqueue.js';

const { delayed, dead } = MESSAGE_STATE;

/**
 * Queues, messages, consumers. A claim changes only `consumer` and `run`, which no index of PostgreSQL holds, and finds
 * room on the page that the row lies on, so that it touches no index (a heap-only update). SQLite has no such thing;
 * there the index holds only what can be claimed.
 */
export function messageTables(types: DatabaseTypes): string[] {
  const { table, index, identity, bigint, boolean } = types;
  const isPostgres = types.name === 'postgres';
  const storage = (options: string): string => (isPostgres ? ` with (${options})` : '');
  return [
    `create table if not exists ${table('queue')} (
      name varchar(255) primary key not null, paused ${boolean(false)})`,
    `create table if not exists ${table('consumer')} (
      id ${identity}, name varchar(255) not null, lease_until ${bigint} not null, idle ${boolean(false)})${storage('fillfactor = 20')}`,
    `create table if not exists ${table('message')} (
      id ${identity},
      task_id varchar(255) not null unique,
      task varchar(255) not null,
      queue varchar(255) not null,
      urgency smallint not null,
      state smallint not null default 0,
      consumer ${bigint} not null default 0,
      run integer not null default 0,
      lost_leases integer not null default 0,
      due_at ${bigint},
      enqueued_at ${bigint} not null,
      died_at ${bigint},
      reason text,
      envelope text not null,
      body text not null)${storage('fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0')}`,
    `create index if not exists ${index('message_line')} on ${table('message')} (queue, state, urgency, id)
      ${isPostgres ? '' : 'where consumer = 0'}`,
    `create index if not exists ${index('message_due')} on ${table('message')} (due_at) where state = ${delayed}`,
    `create index if not exists ${index('message_dead')} on ${table('message')} (died_at, id) where state = ${dead}`,
    ...(isPostgres
      ? []
      : [
          `create index if not exists ${index('message_leased')} on ${table('message')} (consumer) where consumer <> 0`,
        ]),
  ];
}

/** Results (the columns of django-celery-results' TaskResult and GroupResult, and ours) and revocations. */
export function resultTables({ table, index, identity, bigint, boolean }: DatabaseTypes): string[] {
  return [
    `create table if not exists ${table('result')} (
      task_id varchar(255) primary key not null,
      task_name varchar(255) not null,
      status varchar(50) not null,
      state_rank smallint not null,
      run integer not null,
      attempts integer not null,
      content_type varchar(128),
      content_encoding varchar(64),
      result text,
      traceback text,
      failure text,
      progress text,
      meta text,
      queue varchar(255),
      worker varchar(255),
      task_args text,
      task_kwargs text,
      parent_id varchar(255),
      root_id varchar(255),
      group_id varchar(255),
      periodic_task_name varchar(255),
      date_created ${bigint},
      date_started ${bigint},
      date_done ${bigint},
      expires_at ${bigint})`,
    `create index if not exists ${index('result_created')} on ${table('result')} (coalesce(date_created, 0), task_id)`,
    `create index if not exists ${index('result_name')} on ${table('result')} (task_name, coalesce(date_created, 0), task_id)`,
    `create index if not exists ${index('result_not_success')} on ${table('result')}
      (status, coalesce(date_created, 0), task_id) where status <> 'SUCCESS'`,
    `create index if not exists ${index('result_expires')} on ${table('result')} (expires_at) where expires_at is not null`,
    `create table if not exists ${table('group_result')} (
      group_id varchar(255) primary key not null,
      date_created ${bigint} not null,
      date_done ${bigint},
      content_type varchar(128),
      content_encoding varchar(64),
      result text)`,
    `create table if not exists ${table('revoked')} (
      id ${identity}, task_id varchar(255) not null, terminate ${boolean(false)}, expires_at ${bigint} not null)`,
    `create index if not exists ${index('revoked_expires')} on ${table('revoked')} (expires_at)`,
  ];
}
