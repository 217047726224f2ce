import type { FailureRecord } from '../errors/errors.js';
import type { EncodedValue, ResultRecord } from '../ports/result-backend.js';
import type { TaskState } from '../task/task-state.js';
import { stateRank, TASK_STATES } from '../task/task-state.js';
import { celeryException, failureFromCelery } from './celery-exception.js';
import { findMember } from './json-member.js';
import { pythonRepr } from './python-repr.js';

/**
 * A result as Celery keeps it, in JSON:
 *
 * ```text
 * {"taskqueue": [rank, run, created, started, bytes of progress], "progress": {…},    put before the rest by the store, which compares them
 *  "status": …, "result": …, "traceback": …, "children": […], "date_done": …, "group_id": …, "parent_id": …, "task_id": …,
 *  "name": …, "args": …, "kwargs": …, "worker": …, "retries": …, "queue": …,          as Celery's result_extended has them
 *  "attempts": …, "content": […], …}                                                  ours; Python passes them over
 * ```
 *
 * For Python `result` is the value of a task that succeeded, the exception of one that failed, what is reported of one
 * that runs. `state` is written where `status` has to say something else to Python: REJECTED is no end to Celery, so
 * its `status` is FAILURE.
 */
export interface ResultWrite {
  readonly rank: number;
  readonly run: number;
  /** Epoch milliseconds, or `null`. */
  readonly created: string;
  readonly started: string;
  /** JSON, or ''. */
  readonly progress: string;
  /** Epoch milliseconds, or '' for never. */
  readonly expires: string;
  /** The rest of the record, from the comma on. */
  readonly tail: string;
}

const JSON_CONTENT = 'application/json';

/** A record as stores that compare it take it. */
export function resultWrite(record: ResultRecord): ResultWrite {
  return {
    rank: stateRank(record.state),
    run: record.run,
    created: instantText(record.createdAt),
    started: instantText(record.startedAt),
    progress: record.progress === undefined ? '' : JSON.stringify(record.progress),
    expires: record.expiresAt === undefined ? '' : String(Math.max(1, Math.round(record.expiresAt))),
    tail: resultTail(record),
  };
}

/** The same as one text, for a store that compares nothing. */
export function celeryResult(record: ResultRecord): string {
  const { rank, run, created, started, progress, tail } = resultWrite(record);
  const said = progress === '' ? '' : `,"progress":${progress}`;
  return `{"taskqueue":[${rank},${run},${created},${started},${Buffer.byteLength(progress)}]${said}${tail}`;
}

/** The record that a text holds, ours or Python's. Undefined for a text that is neither. */
export function readResult(taskId: string, text: string): ResultRecord | undefined {
  // Cut out first: it is kept to the letter, and Python's JSON has values that ours has not.
  const place = findMember(text, 'result');
  const raw = place === undefined ? 'null' : text.slice(...place).trim();
  const meta = parsed(place === undefined ? text : `${text.slice(0, place[0])}null${text.slice(place[1])}`);
  if (meta === undefined || typeof meta['status'] !== 'string') return undefined;
  const record = Array.isArray(meta['taskqueue']) ? ownRecord(meta, raw) : pythonRecord(meta, raw);
  return withoutUndefined({ ...record, taskId });
}

type Meta = Readonly<Record<string, unknown>>;
type Fields = { -readonly [Field in keyof ResultRecord]: ResultRecord[Field] | undefined };

function resultTail(record: ResultRecord): string {
  const { failure, result } = record;
  const members = {
    traceback: failure?.stack ?? null,
    children: (record.children ?? []).map((id) => [[id, null], null]),
    date_done: record.doneAt === undefined ? null : pythonInstant(record.doneAt),
    group_id: record.groupId,
    parent_id: record.parentId,
    task_id: record.taskId,
    name: record.name,
    args: record.argsRepr,
    kwargs: record.kwargsRepr,
    worker: record.worker,
    retries: Math.max(0, record.attempts - 1),
    queue: record.queue,
    attempts: record.attempts,
    content: result === undefined ? undefined : [result.contentType, result.contentEncoding],
    failure: failure === undefined ? undefined : ownFailure(failure),
    state: celeryStatus(record.state) === record.state ? undefined : record.state,
    root_id: record.rootId,
    periodic_task_name: record.periodicTaskName,
    parented: record.children === undefined ? undefined : record.children.length,
    done: record.doneAt,
    expires: record.expiresAt,
  };
  return `,"status":${JSON.stringify(celeryStatus(record.state))},"result":${resultText(record)},${JSON.stringify(members).slice(1)}`;
}

/** Celery's callers wait for ever for a task that was rejected: to them it is no end. */
function celeryStatus(state: TaskState): TaskState {
  return state === 'REJECTED' ? 'FAILURE' : state;
}

/** What Python shows as the result. */
function resultText({ state, failure, result, progress, worker }: ResultRecord): string {
  if (failure !== undefined) return JSON.stringify(celeryException(failure));
  const value = result ?? (state === 'PROGRESS' ? progress : undefined);
  if (value !== undefined) return isJson(value) ? value.text : JSON.stringify(value.text);
  return state === 'STARTED' && worker !== undefined ? JSON.stringify({ hostname: worker }) : 'null';
}

/** What Python's exception has no place for. */
function ownFailure({ code, cause }: FailureRecord): Pick<FailureRecord, 'code' | 'cause'> {
  return { ...(code === undefined ? {} : { code }), ...(cause === undefined ? {} : { cause }) };
}

function ownRecord(meta: Meta, raw: string): Omit<Fields, 'taskId'> {
  const [, run, created, started] = meta['taskqueue'] as readonly unknown[];
  return {
    ...commonFields(meta),
    state: stateOf((text(meta['state']) ?? meta['status']) as string),
    run: whole(run) ?? 0,
    attempts: whole(meta['attempts']) ?? 0,
    result: ownValue(meta['content'], raw),
    failure: isRecord(meta['failure'])
      ? { ...failureFromCelery(parsedValue(raw), meta['traceback']), ...(meta['failure'] as object) }
      : undefined,
    progress: isRecord(meta['progress']) ? (meta['progress'] as unknown as EncodedValue) : undefined,
    argsRepr: text(meta['args']),
    kwargsRepr: text(meta['kwargs']),
    rootId: text(meta['root_id']),
    children: meta['parented'] === undefined ? undefined : childIds(meta['children']),
    periodicTaskName: text(meta['periodic_task_name']),
    createdAt: whole(created),
    startedAt: whole(started),
    doneAt: whole(meta['done']),
    expiresAt: whole(meta['expires']),
  };
}

/** States of a task's own are progress to us: it runs, and says something. */
function pythonRecord(meta: Meta, raw: string): Omit<Fields, 'taskId'> {
  const state = stateOf(meta['status'] as string);
  const value: EncodedValue = { contentType: JSON_CONTENT, contentEncoding: 'utf-8', text: raw };
  const failed = state === 'FAILURE' || state === 'RETRY' || state === 'REVOKED';
  const retries = whole(meta['retries']);
  const children = childIds(meta['children']);
  const doneAt = typeof meta['date_done'] === 'string' ? instantOf(meta['date_done']) : undefined;
  return {
    ...commonFields(meta),
    state,
    run: 0,
    attempts: (retries ?? 0) + 1,
    result: state === 'SUCCESS' ? value : undefined,
    failure: failed ? failureFromCelery(parsedValue(raw), meta['traceback']) : undefined,
    progress: state === 'PROGRESS' && raw !== 'null' ? value : undefined,
    argsRepr: reprOf(meta['args'], true),
    kwargsRepr: reprOf(meta['kwargs'], false),
    children: children.length === 0 ? undefined : children,
    doneAt,
  };
}

function commonFields(meta: Meta): Pick<Fields, 'name' | 'queue' | 'worker' | 'parentId' | 'groupId'> {
  return {
    name: text(meta['name']) ?? '',
    queue: text(meta['queue']),
    worker: text(meta['worker']),
    parentId: text(meta['parent_id']),
    groupId: text(meta['group_id']),
  };
}

function stateOf(status: string): TaskState {
  return (TASK_STATES as readonly string[]).includes(status) ? (status as TaskState) : 'PROGRESS';
}

function ownValue(content: unknown, raw: string): EncodedValue | undefined {
  if (!Array.isArray(content)) return undefined;
  const value = { contentType: String(content[0]), contentEncoding: String(content[1]), text: raw };
  return isJson(value) ? value : { ...value, text: String(parsedValue(raw)) };
}

function isJson(value: EncodedValue): boolean {
  return value.contentType === JSON_CONTENT && value.contentEncoding === 'utf-8';
}

/** Celery's results as tuples: `[[id, parent], children]`, or `[id, children]`. */
function childIds(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((child: unknown) => {
    const first: unknown = Array.isArray(child) ? child[0] : undefined;
    const id: unknown = Array.isArray(first) ? first[0] : first;
    return typeof id === 'string' ? [id] : [];
  });
}

function reprOf(value: unknown, tuple: boolean): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value : pythonRepr(value, { tuple });
}

/** As Python's `datetime.isoformat` writes it. Many tasks end in one millisecond. */
function pythonInstant(ms: number): string {
  if (ms !== lastInstant.ms) lastInstant = { ms, text: new Date(ms).toISOString().replace('Z', '000+00:00') };
  return lastInstant.text;
}

let lastInstant = { ms: Number.NaN, text: '' };

/** Celery before 5.6 leaves the offset out, and means UTC. */
function instantOf(iso: string): number | undefined {
  const ms = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

function instantText(ms: number | undefined): string {
  return ms === undefined ? 'null' : String(Math.round(ms));
}

function parsed(json: string): Meta | undefined {
  const value = parsedValue(json);
  return isRecord(value) ? value : undefined;
}

function parsedValue(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function whole(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withoutUndefined(record: Fields): ResultRecord {
  for (const key of Object.keys(record) as (keyof Fields)[]) if (record[key] === undefined) delete record[key];
  return record as unknown as ResultRecord;
}
