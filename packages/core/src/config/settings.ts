import type { Duration } from './duration.js';

/** Every setting, its default, its unit. Given to `TaskQueueModule.forRoot`, or by the environment (`TASKQUEUE_…`). */
export interface TaskQueueSettings {
  /** Queue of calls and tasks that name none. Default `default`. Also `TASKQUEUE_DEFAULT_QUEUE`. */
  readonly defaultQueue: string;
  /** How long results are kept. `0`: for ever. Default 1 day. `TASKQUEUE_RESULT_EXPIRES`. */
  readonly resultExpires: Duration;
  /**
   * Dialect of the messages and values that we write: `5.6`, or `5.2` for Python workers with kombu before 5.3.
   * Default `5.6`. `TASKQUEUE_DIALECT`.
   */
  readonly dialect: '5.6' | '5.2';
  /** Compress message bodies: `zlib`, `gzip` or `brotli`. Default none. `TASKQUEUE_COMPRESSION`. */
  readonly compression: 'zlib' | 'gzip' | 'brotli' | 'none';
  /** Largest message body that is sent or accepted, bytes, after decompression. Default 1 MiB. `TASKQUEUE_MAX_BODY_BYTES`. */
  readonly maxBodyBytes: number;
  /** Deepest nesting of a message body that is accepted. Default 100. `TASKQUEUE_MAX_BODY_DEPTH`. */
  readonly maxBodyDepth: number;
  /** Most object keys and array items in a message body that is accepted. Default 10 000. `TASKQUEUE_MAX_BODY_KEYS`. */
  readonly maxBodyKeys: number;
  /** How often a publish is tried again when the broker cannot be reached. Default 3. `TASKQUEUE_PUBLISH_RETRIES`. */
  readonly publishRetries: number;
  readonly worker: WorkerSettings;
  readonly beat: BeatSettings;
}

export interface WorkerSettings {
  /** `name@host`; several on one host need different names. Default `worker@<host>#<pid>`. `TASKQUEUE_WORKER_NAME`. */
  readonly name: string | undefined;
  /** Queues to take from, in order of preference. Default: the default queue and every queue a registered task names. `TASKQUEUE_WORKER_QUEUES`, separated by commas. */
  readonly queues: readonly string[] | undefined;
  /** `async`: handlers side by side on one thread. `solo`: one at a time. Default `async`. `TASKQUEUE_WORKER_POOL`. */
  readonly pool: 'async' | 'solo';
  /** Handlers that run side by side in the async pool. Default 10. `TASKQUEUE_WORKER_CONCURRENCY`. */
  readonly concurrency: number;
  /** How long a task stays with a worker that says nothing. Default 30 s; at least 1 s. `TASKQUEUE_WORKER_LEASE`. */
  readonly lease: Duration;
  /** From SIGTERM to exit, hand-back included. Default 25 s. `TASKQUEUE_WORKER_SHUTDOWN_GRACE`. */
  readonly shutdownGrace: Duration;
  /** Record STARTED for every task. Default false. `TASKQUEUE_WORKER_TRACK_STARTED`. */
  readonly trackStarted: boolean;
  /** A task whose worker was lost this often while it ran is put to the dead letters. Default 3. `TASKQUEUE_WORKER_MAX_LOST`. */
  readonly maxLost: number;
  /** Log a line for each start and end of a task. Default true. `TASKQUEUE_WORKER_LOG_TASKS`. */
  readonly logTasks: boolean;
}

export interface BeatSettings {
  /** Longest time between two looks at the schedule store: how soon an edit is noticed. Default 1 s. `TASKQUEUE_BEAT_POLL`. */
  readonly poll: Duration;
}

/** What a user gives: any part of it. */
export type TaskQueueSettingsInit = Partial<Omit<TaskQueueSettings, 'worker' | 'beat'>> & {
  readonly worker?: Partial<WorkerSettings>;
  readonly beat?: Partial<BeatSettings>;
};

export const DEFAULT_SETTINGS: TaskQueueSettings = {
  defaultQueue: 'default',
  resultExpires: '1d',
  dialect: '5.6',
  compression: 'none',
  maxBodyBytes: 1_048_576,
  maxBodyDepth: 100,
  maxBodyKeys: 10_000,
  publishRetries: 3,
  worker: {
    name: undefined,
    queues: undefined,
    pool: 'async',
    concurrency: 10,
    lease: '30s',
    shutdownGrace: '25s',
    trackStarted: false,
    maxLost: 3,
    logTasks: true,
  },
  beat: { poll: '1s' },
};
