import { TABLE_PREFIX } from '../sql/dialect.js';
import type { DatabaseTypes } from './1763700000000-create-taskqueue.js';

/** The models of django-celery-beat, and our columns. */
export function scheduleTables({ table, identity, bigint, boolean, double }: DatabaseTypes): string[] {
  return [
    `create table if not exists ${table('interval_schedule')} (
      id ${identity}, every ${bigint} not null,
      period varchar(24) not null default 'seconds', anchor ${bigint} not null default 0)`,
    `create table if not exists ${table('crontab_schedule')} (
      id ${identity},
      minute varchar(240) not null default '*', hour varchar(96) not null default '*',
      day_of_month varchar(124) not null default '*', month_of_year varchar(64) not null default '*',
      day_of_week varchar(64) not null default '*', timezone varchar(64) not null default 'UTC',
      gap varchar(8) not null default 'run', day_rule varchar(8) not null default 'and')`,
    `create table if not exists ${table('clocked_schedule')} (id ${identity}, clocked_time ${bigint} not null)`,
    `create table if not exists ${table('solar_schedule')} (
      id ${identity}, event varchar(24) not null default 'sunrise',
      latitude ${double} not null, longitude ${double} not null)`,
    `create table if not exists ${table('periodic_task')} (
      id ${identity},
      name varchar(200) not null unique,
      task varchar(200) not null,
      interval_id ${bigint} references ${table('interval_schedule')} (id) on delete cascade,
      crontab_id ${bigint} references ${table('crontab_schedule')} (id) on delete cascade,
      clocked_id ${bigint} references ${table('clocked_schedule')} (id) on delete cascade,
      solar_id ${bigint} references ${table('solar_schedule')} (id) on delete cascade,
      args text not null default '[]',
      kwargs text not null default '{}',
      queue varchar(200),
      exchange varchar(200),
      routing_key varchar(200),
      headers text,
      priority smallint,
      expires ${bigint},
      expire_seconds ${double},
      one_off ${boolean(false)},
      start_time ${bigint},
      enabled ${boolean(true)},
      last_run_at ${bigint},
      total_run_count integer not null default 0,
      date_changed ${bigint} not null default 0,
      description text not null default '',
      misfire varchar(8) not null default 'one',
      misfire_limit integer not null default 100,
      misfire_grace_ms ${bigint} not null default 60000,
      jitter_ms ${bigint} not null default 0,
      overlap varchar(8) not null default 'allow',
      next_due_at ${bigint},
      due_fingerprint varchar(255),
      last_task_id varchar(255),
      declared text)`,
    `create table if not exists ${table('schedule_change')} (
      ident smallint primary key not null, version ${bigint} not null, last_update ${bigint} not null)`,
    `insert into ${table('schedule_change')} (ident, version, last_update) values (1, 0, 0) on conflict (ident) do nothing`,
  ];
}

/** What an operator may edit. An advance of an occurrence sets none of these and is not a change. */
const EDITABLE = [
  'name',
  'task',
  'interval_id',
  'crontab_id',
  'clocked_id',
  'solar_id',
  'args',
  'kwargs',
  'queue',
  'exchange',
  'routing_key',
  'headers',
  'priority',
  'expires',
  'expire_seconds',
  'one_off',
  'start_time',
  'enabled',
  'description',
  'misfire',
  'misfire_limit',
  'misfire_grace_ms',
  'jitter_ms',
  'overlap',
];

const WATCHED = ['interval_schedule', 'crontab_schedule', 'clocked_schedule', 'solar_schedule', 'periodic_task'];

/** Every edit counts, whoever makes it and however: through the API, a repository, a bulk update or plain SQL. */
export function scheduleTriggers(types: DatabaseTypes): string[] {
  return types.name === 'postgres' ? postgresTriggers(types) : sqliteTriggers(types);
}

function postgresTriggers({ table }: DatabaseTypes): string[] {
  const routine = table('schedule_changed');
  return [
    `create or replace function ${routine}() returns trigger language plpgsql as $$
begin
  update ${table('schedule_change')} set version = version + 1,
    last_update = (extract(epoch from clock_timestamp()) * 1000)::bigint where ident = 1;
  return null;
end $$`,
    ...WATCHED.flatMap((name) => [
      `drop trigger if exists "${TABLE_PREFIX}changed" on ${table(name)}`,
      `create trigger "${TABLE_PREFIX}changed" after insert or delete or update ${columnsOf(name)} on ${table(name)}
        for each statement execute function ${routine}()`,
    ]),
  ];
}

function sqliteTriggers({ table }: DatabaseTypes): string[] {
  const bump = `begin update ${table('schedule_change')} set version = version + 1,
    last_update = cast((julianday('now') - 2440587.5) * 86400000 as integer) where ident = 1; end`;
  return WATCHED.flatMap((name) =>
    [`insert`, `delete`, `update ${columnsOf(name)}`].map(
      (event) =>
        `create trigger if not exists "${TABLE_PREFIX}${name}_${event.split(' ')[0]}" after ${event} on ${table(name)} ${bump}`,
    ),
  );
}

function columnsOf(table: string): string {
  return table === 'periodic_task' ? `of ${EDITABLE.join(', ')}` : '';
}
