import type { FailureRecord } from '../errors/errors.js';
import type { TaskState } from '../task/task-state.js';

/**
 * Where the state and result of tasks are kept. States only advance (see `mayReplace`): a terminal record is never
 * replaced, a record of an earlier run never replaces one of a later run, duplicates change nothing.
 */
export interface ResultBackend {
  /** One answer a record, in order. */
  put(records: readonly ResultRecord[]): Promise<readonly ('stored' | 'superseded')[]>;
  /** One answer an id, in order; undefined for an id the store has never seen or has forgotten. */
  get(taskIds: readonly string[]): Promise<readonly (ResultRecord | undefined)[]>;
  forget(taskIds: readonly string[]): Promise<void>;
  /** Yields records of these ids as they change, until the signal aborts. Lossy: a waiter also polls. */
  watch?(taskIds: readonly string[], signal: AbortSignal): AsyncIterable<ResultRecord>;
  /**
   * A page of records, newest first. Absent where the store cannot list. A UsageError names `limit` or `cursor` when it
   * cannot be; see `checkListLimit` and `unknownCursor`.
   */
  list?(query: ResultQuery): Promise<ResultPage>;
  /**
   * For results that are sent to whoever called: tells that this process is about to send these tasks, and answers the
   * address that their messages have to carry. Absent where results are kept for everybody.
   */
  expect?(taskIds: readonly string[]): Promise<string>;
  /** Removes records whose `expiresAt` has passed, in bounded batches; absent where the store expires by itself. */
  cleanUp?(): Promise<number>;
}

/** Results that any process can look up; undefined where they are sent to whoever called, and kept by nobody. */
export function keptResults(results: ResultBackend | undefined): ResultBackend | undefined {
  return results?.expect === undefined ? results : undefined;
}

/** What is kept of a task. */
export interface ResultRecord {
  readonly taskId: string;
  readonly state: TaskState;
  /** Task name. */
  readonly name: string;
  /** Run counter of the message, growing with every delivery (0 before the first): the fence between runs. */
  readonly run: number;
  /** Attempts begun so far; a crash counts, a snooze does not. */
  readonly attempts: number;
  /** Encoded return value, for SUCCESS; or the reported progress, for PROGRESS. */
  readonly result?: EncodedValue;
  /** For FAILURE, RETRY, REVOKED and REJECTED. */
  readonly failure?: FailureRecord;
  /** The last reported progress, kept beside the terminal result. */
  readonly progress?: EncodedValue;
  readonly queue?: string;
  readonly worker?: string;
  /** Representations of the arguments, bounded; never the arguments themselves. */
  readonly argsRepr?: string;
  readonly kwargsRepr?: string;
  readonly parentId?: string;
  readonly rootId?: string;
  readonly groupId?: string;
  readonly children?: readonly string[];
  /** Where the caller waits for the record, for a backend that sends it there (`expect`); others do not keep it. */
  readonly replyTo?: string;
  /** Name of the schedule entry that sent it. */
  readonly periodicTaskName?: string;
  /** Epoch milliseconds. */
  readonly createdAt?: number;
  readonly startedAt?: number;
  readonly doneAt?: number;
  /** When the store may forget the record; undefined = never. */
  readonly expiresAt?: number;
}

/** A value as text, in the form its serializer gave it (base64 for binary serializers). */
export interface EncodedValue {
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly text: string;
}

/** Which records to list. */
export interface ResultQuery {
  readonly states?: readonly TaskState[];
  readonly names?: readonly string[];
  /** 1 to 1000. */
  readonly limit: number;
  /** From the previous page of the same query; with another one, a place in that list all the same, or refused. */
  readonly cursor?: string;
}

/** A page of records. */
export interface ResultPage {
  readonly records: readonly ResultRecord[];
  /** Absent on the last page. */
  readonly nextCursor?: string;
}
