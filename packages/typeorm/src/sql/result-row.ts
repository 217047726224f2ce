import type { EncodedValue, FailureRecord, ResultRecord, TaskState } from '@taskqueue/core';
import { failureFromCelery, stateRank } from '@taskqueue/core';
import type { Row } from './sql-store.js';
import { isStorable, storable } from './text-table.js';

/** A result record as columns of the table, in the order of {@link RESULT_COLUMNS}. */
export interface ResultColumns {
  readonly task_id: string;
  readonly task_name: string;
  readonly status: TaskState;
  readonly state_rank: number;
  readonly run: number;
  readonly attempts: number;
  readonly content_type: string | null;
  readonly content_encoding: string | null;
  readonly result: string | null;
  readonly traceback: string | null;
  readonly failure: string | null;
  readonly progress: string | null;
  readonly meta: string | null;
  readonly queue: string | null;
  readonly worker: string | null;
  readonly task_args: string | null;
  readonly task_kwargs: string | null;
  readonly parent_id: string | null;
  readonly root_id: string | null;
  readonly group_id: string | null;
  readonly periodic_task_name: string | null;
  readonly date_created: number | null;
  readonly date_started: number | null;
  readonly date_done: number | null;
  readonly expires_at: number | null;
}

export const RESULT_COLUMNS = [
  'task_id',
  'task_name',
  'status',
  'state_rank',
  'run',
  'attempts',
  'content_type',
  'content_encoding',
  'result',
  'traceback',
  'failure',
  'progress',
  'meta',
  'queue',
  'worker',
  'task_args',
  'task_kwargs',
  'parent_id',
  'root_id',
  'group_id',
  'periodic_task_name',
  'date_created',
  'date_started',
  'date_done',
  'expires_at',
] as const satisfies readonly (keyof ResultColumns)[];

/** What an earlier state told stays when a later one is silent about it. */
export const KEPT_COLUMNS: ReadonlySet<string> = new Set(['date_created', 'date_started', 'progress']);

/** From this rank on a record is final. */
export const TERMINAL_RANK = stateRank('SUCCESS');

/** States whose result is an exception to Celery. */
const PYTHON_FAILURES: ReadonlySet<unknown> = new Set<TaskState>(['FAILURE', 'RETRY', 'REVOKED']);

/** What has no column that Celery's readers know. */
interface Meta {
  readonly children?: readonly string[];
  /** The result is a JSON string of the real text, because the text has characters that a column cannot hold. */
  readonly escaped?: true;
}

export function resultColumns(record: ResultRecord): ResultColumns {
  const result = resultText(record.result?.text);
  const stack = record.failure?.stack;
  return {
    task_id: storable(record.taskId),
    task_name: clean(record.name) ?? '',
    status: record.state,
    state_rank: stateRank(record.state),
    run: record.run,
    attempts: record.attempts,
    content_type: clean(record.result?.contentType),
    content_encoding: clean(record.result?.contentEncoding),
    result: result.text,
    traceback: stack === undefined || !isStorable(stack) ? null : stack,
    failure: failureJson(record.failure),
    progress: record.progress === undefined ? null : JSON.stringify(record.progress),
    meta: metaJson({ children: record.children, escaped: result.escaped }),
    queue: clean(record.queue),
    worker: clean(record.worker),
    task_args: clean(record.argsRepr),
    task_kwargs: clean(record.kwargsRepr),
    parent_id: clean(record.parentId),
    root_id: clean(record.rootId),
    group_id: clean(record.groupId),
    periodic_task_name: clean(record.periodicTaskName),
    date_created: whole(record.createdAt),
    date_started: whole(record.startedAt),
    date_done: whole(record.doneAt),
    expires_at: whole(record.expiresAt),
  };
}

export function resultRecord(row: Row): ResultRecord {
  const meta = parsed<Meta>(row['meta']) ?? {};
  const failure = parsed<FailureRecord>(row['failure']);
  const stack = text(row['traceback']);
  const ofPython = failure === undefined ? pythonFailure(row, stack) : undefined;
  const record: Record<keyof ResultRecord, unknown> = {
    taskId: row['task_id'],
    state: row['status'],
    name: row['task_name'],
    run: Number(row['run']),
    attempts: Number(row['attempts']),
    result: ofPython === undefined ? resultValue(row, meta) : undefined,
    failure: failure === undefined || stack === undefined ? (failure ?? ofPython) : { ...failure, stack },
    progress: parsed<EncodedValue>(row['progress']),
    queue: text(row['queue']),
    worker: text(row['worker']),
    argsRepr: text(row['task_args']),
    kwargsRepr: text(row['task_kwargs']),
    replyTo: undefined,
    parentId: text(row['parent_id']),
    rootId: text(row['root_id']),
    groupId: text(row['group_id']),
    children: meta.children,
    periodicTaskName: text(row['periodic_task_name']),
    createdAt: instant(row['date_created']),
    startedAt: instant(row['date_started']),
    doneAt: instant(row['date_done']),
    expiresAt: instant(row['expires_at']),
  };
  for (const key of Object.keys(record) as (keyof ResultRecord)[]) if (record[key] === undefined) delete record[key];
  return record as unknown as ResultRecord;
}

/** Null as undefined; a bigint, which PostgreSQL's driver gives as text, as a number. */
export function instant(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function resultValue(row: Row, meta: Meta): EncodedValue | undefined {
  const stored = text(row['result']);
  if (stored === undefined) return undefined;
  return {
    contentType: text(row['content_type']) ?? '',
    contentEncoding: text(row['content_encoding']) ?? '',
    text: meta.escaped === true ? (JSON.parse(stored) as string) : stored,
  };
}

/** A worker of Python's that shares the table (docs/celery.md) writes the exception where results are. */
function pythonFailure(row: Row, stack: string | undefined): FailureRecord | undefined {
  if (!PYTHON_FAILURES.has(row['status']) || row['content_type'] !== 'application/json') return undefined;
  return failureFromCelery(parsed(row['result']), stack);
}

/** The stack has a column of its own, where Celery's readers look for it, unless the column cannot hold it. */
function failureJson(failure: FailureRecord | undefined): string | null {
  if (failure === undefined) return null;
  const { stack, ...rest } = failure;
  return JSON.stringify(stack === undefined || isStorable(stack) ? rest : failure);
}

function metaJson(meta: { readonly [K in keyof Meta]: Meta[K] | undefined }): string | null {
  return meta.children === undefined && meta.escaped === undefined ? null : JSON.stringify(meta);
}

function resultText(value: string | undefined): { readonly text: string | null; readonly escaped: true | undefined } {
  if (value === undefined) return { text: null, escaped: undefined };
  return isStorable(value) ? { text: value, escaped: undefined } : { text: JSON.stringify(value), escaped: true };
}

function clean(value: string | undefined): string | null {
  return value === undefined ? null : storable(value);
}

function whole(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value);
}

function parsed<T>(value: unknown): T | undefined {
  return typeof value === 'string' && value !== '' ? (JSON.parse(value) as T) : undefined;
}
