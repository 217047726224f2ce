import type { MigrationInterface, QueryRunner } from 'typeorm';
import type { DatabaseTypes } from './1763700000000-create-taskqueue.js';
import { typesOf } from './1763700000000-create-taskqueue.js';

/** Creates the tables of locks and barriers, and on SQLite that of pub/sub. Safe to run when they are there already. */
export class CreateCoordination1763800000000 implements MigrationInterface {
  readonly name = 'CreateCoordination1763800000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const types = typesOf(queryRunner);
    const statements = [...lockTables(types), ...barrierTables(types), ...publicationTables(types)];
    for (const sql of statements) await queryRunner.query(sql);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const { table } = typesOf(queryRunner);
    for (const name of ['lock', 'barrier_member', 'barrier', 'publication']) {
      await queryRunner.query(`drop table if exists ${table(name)}`);
    }
  }
}

/** A row is a grant, its number the token: numbers only grow, so a later grant of a key has a higher one. */
function lockTables({ name, table, index, identity, bigint }: DatabaseTypes): string[] {
  const storage = name === 'postgres' ? ' with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)' : '';
  return [
    `create table if not exists ${table('lock')} (
      token ${identity},
      lock_key varchar(255) not null,
      owner varchar(255) not null,
      expires_at ${bigint} not null,
      unique (lock_key, owner))${storage}`,
    `create index if not exists ${index('lock_expires')} on ${table('lock')} (expires_at)`,
  ];
}

function barrierTables({ name, table, index, bigint }: DatabaseTypes): string[] {
  // Each arrival changes the barrier's row, so there is room for its next version beside it.
  const storage = name === 'postgres' ? ' with (fillfactor = 50)' : '';
  return [
    `create table if not exists ${table('barrier')} (
      id varchar(255) primary key not null,
      size integer not null,
      arrived integer not null default 0,
      completed_by varchar(255),
      body text not null,
      ttl_ms ${bigint} not null,
      expires_at ${bigint} not null)${storage}`,
    `create index if not exists ${index('barrier_expires')} on ${table('barrier')} (expires_at)`,
    `create table if not exists ${table('barrier_member')} (
      barrier_id varchar(255) not null,
      member_id varchar(255) not null,
      primary key (barrier_id, member_id))`,
  ];
}

/** PostgreSQL has NOTIFY. */
function publicationTables({ name, table, index, identity, bigint }: DatabaseTypes): string[] {
  if (name === 'postgres') return [];
  return [
    `create table if not exists ${table('publication')} (
      id ${identity}, publication text not null, expires_at ${bigint} not null)`,
    `create index if not exists ${index('publication_expires')} on ${table('publication')} (expires_at)`,
  ];
}
