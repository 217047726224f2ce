import type {
  LockStore,
  OccurrenceClaim,
  ScheduleEntry,
  ScheduleStep,
  ScheduleStore,
  ScheduleStoreCapabilities,
  StoredEntry,
} from '@taskqueue/core';
import { isEdited, mergeDeclared, occurrenceTaskId } from '@taskqueue/core';
import type { WakeHub } from './broker/wake-hub.js';
import { soon } from './postgres/postgres-dialect.js';
import type { MessageColumns } from './sql/message-row.js';
import { messageColumns } from './sql/message-row.js';
import { text } from './sql/result-row.js';
import { SPEC_REFERENCES, SPEC_TABLES, entryColumns, normalized, specRow, storedEntry } from './sql/schedule-row.js';
import type { Row, SqlStore, SqlValue, Work } from './sql/sql-store.js';
import { statement } from './sql/sql-store.js';

/**
 * Schedule entries as rows that an operator may edit, with raw SQL too: triggers of the database count every change
 * (but not the advance of an occurrence, which every beat would otherwise answer by reading everything again).
 */
export class SqlSchedules implements ScheduleStore {
  readonly capabilities: ScheduleStoreCapabilities = { atomicFire: true };

  constructor(
    private readonly store: SqlStore,
    private readonly hub: WakeHub,
    private readonly locks: LockStore,
  ) {}

  async poll(): Promise<{ readonly version: string; readonly now: number }> {
    const { dialect } = this.store;
    const sql = `select version, ${dialect.now} as now from ${dialect.table('schedule_change')} where ident = 1`;
    const [row] = await this.store.once(() => statement(sql));
    return { version: String(Number(row?.['version'] ?? 0)), now: Number(row?.['now'] ?? Date.now()) };
  }

  async list(): Promise<readonly StoredEntry[]> {
    const rows = await this.store.once(() => this.select());
    return rows.map(storedEntry).filter((entry) => entry !== undefined);
  }

  async syncDeclared(entries: readonly ScheduleEntry[]): Promise<void> {
    await this.store.run(() => this.sync(entries.map(normalized)));
  }

  async upsert(entries: readonly ScheduleEntry[]): Promise<void> {
    await this.store.run(() => this.writeAll(entries));
  }

  async remove(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.store.run(() => this.deleteNamed(names));
  }

  /** A lock of the occurrence's own, looked at before the entry: who fired it moved the entry on while he held it. */
  async claim({ name, dueAt, owner, ttlMs }: OccurrenceClaim): Promise<boolean> {
    const [answer] = await this.locks.acquire([{ key: occurrenceTaskId(name, dueAt), owner, permits: 1, ttlMs }]);
    if (answer?.status !== 'acquired') return false;
    const { dialect } = this.store;
    const sql = `select 1 from ${dialect.table('periodic_task')} where name = $1 and next_due_at = $2`;
    return (await this.store.once(() => statement(sql, [name, dueAt]))).length > 0;
  }

  async advance(step: ScheduleStep): Promise<boolean> {
    const messages = (step.publish ?? []).map(messageColumns);
    const advanced = await this.store.run(() => this.step(step, messages));
    if (advanced && messages.length > 0) this.hub.ringAndLook();
    return advanced;
  }

  private select(): Work<readonly Row[]> {
    const { dialect } = this.store;
    const columns = SPEC_TABLES.flatMap(({ alias, columns: names }) => names.map((name) => `${alias}.${name}`));
    const joins = SPEC_TABLES.map(
      ({ table, alias, reference }) => `left join ${dialect.table(table)} ${alias} on ${alias}.id = p.${reference}`,
    );
    return statement(
      `select p.*, ${columns.join(', ')} from ${dialect.table('periodic_task')} p ${joins.join(' ')} order by p.name`,
    );
  }

  /** One sync at a time, and no edit in between: the merge reads first and writes then. */
  private *sync(entries: readonly ScheduleEntry[]): Work<void> {
    const { dialect } = this.store;
    yield* dialect.lock('periodic_task');
    const rows = yield* this.select();
    const stored = new Map(rows.map((row) => [row['name'] as string, row]));
    const names = new Set(entries.map((entry) => entry.name));
    const dropped = rows.filter((row) => !names.has(row['name'] as string) && isUneditedDeclaration(row));
    if (dropped.length > 0) yield* this.deleteRows(dropped.map((row) => row['name'] as string));
    for (const declared of entries) {
      const row = stored.get(declared.name);
      const current = row === undefined ? undefined : storedEntry(row);
      const lastDeclared = row === undefined ? undefined : declaredOf(row);
      const merged = current === undefined ? declared : mergeDeclared({ stored: current, lastDeclared, declared });
      if (isSame(merged, current) && isSame(declared, lastDeclared)) continue;
      yield* this.write(merged, { declared: JSON.stringify(declared) });
    }
  }

  private *writeAll(entries: readonly ScheduleEntry[]): Work<void> {
    yield* this.store.dialect.lock('periodic_task');
    for (const entry of entries) yield* this.write(entry, {});
  }

  private *deleteNamed(names: readonly string[]): Work<void> {
    yield* this.store.dialect.lock('periodic_task');
    yield* this.deleteRows(names);
  }

  private *deleteRows(names: readonly string[]): Work<void> {
    const { dialect } = this.store;
    const sql = `delete from ${dialect.table('periodic_task')} where ${dialect.anyOf('name', '$1')}`;
    yield { sql, params: names.length === 0 ? [[]] : [names] };
  }

  private *write(entry: ScheduleEntry, extra: Readonly<Record<string, SqlValue>>): Work<void> {
    const { dialect } = this.store;
    const spec = specRow(entry.schedule);
    const references = SPEC_REFERENCES.map((reference) => [reference, null] as const);
    const columns: Record<string, SqlValue> = {
      ...entryColumns(entry),
      ...Object.fromEntries(references),
      [spec.reference]: yield* this.specId(spec.table, spec.columns),
      ...extra,
    };
    const names = Object.keys(columns);
    const updates = names.filter((name) => name !== 'name').map((name) => `${name} = excluded.${name}`);
    yield {
      sql: `insert into ${dialect.table('periodic_task')} (${names.join(', ')}, date_changed)
        values (${names.map((_name, index) => `$${index + 1}`).join(', ')}, ${dialect.now})
        on conflict (name) do update set ${updates.join(', ')}, date_changed = excluded.date_changed`,
      params: Object.values(columns),
    };
  }

  /** Equal schedules share a row. */
  private *specId(
    table: Parameters<SqlStore['dialect']['table']>[0],
    columns: Readonly<Record<string, string | number>>,
  ): Work<number> {
    const { dialect } = this.store;
    const names = Object.keys(columns);
    const params = Object.values(columns);
    const placeholders = names.map((_name, index) => `$${index + 1}`);
    const find = `select id from ${dialect.table(table)} where ${names.map((name, index) => `${name} = $${index + 1}`).join(' and ')} order by id limit 1`;
    const [found] = yield { sql: find, params };
    if (found !== undefined) return Number(found['id']);
    const [made] = yield {
      sql: `insert into ${dialect.table(table)} (${names.join(', ')}) values (${placeholders.join(', ')}) returning id`,
      params,
    };
    return Number(made?.['id']);
  }

  private *step(step: ScheduleStep, messages: readonly MessageColumns[]): Work<boolean> {
    const { dialect } = this.store;
    const disable = step.disable === true ? ', enabled = false' : '';
    const rows = yield {
      sql: `update ${dialect.table('periodic_task')} set next_due_at = $3, due_fingerprint = $4,
          last_run_at = coalesce($5, last_run_at), last_task_id = coalesce($6, last_task_id),
          total_run_count = total_run_count + $7 ${disable}
        where name = $1 and next_due_at is not distinct from $2
        returning id`,
      params: [
        step.name,
        step.dueAt ?? null,
        step.nextDueAt ?? null,
        step.fingerprint,
        step.firedAt ?? null,
        step.lastTaskId ?? null,
        step.fired ?? 0,
      ],
    };
    if (rows.length === 0) return false;
    if (messages.length > 0) yield* dialect.publish(messages, soon(messages));
    return true;
  }
}

function declaredOf(row: Row): ScheduleEntry | undefined {
  const declared = text(row['declared']);
  return declared === undefined || declared === '' ? undefined : (JSON.parse(declared) as ScheduleEntry);
}

/** Made by code, and never touched by an operator since. */
function isUneditedDeclaration(row: Row): boolean {
  const declared = declaredOf(row);
  const stored = storedEntry(row);
  return declared !== undefined && stored !== undefined && !isEdited(stored, declared);
}

function isSame(entry: ScheduleEntry, other: ScheduleEntry | undefined): boolean {
  return other !== undefined && !isEdited(entry, other);
}
