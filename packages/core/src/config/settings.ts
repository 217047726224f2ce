import type { Serializer } from '../message/serializer.js';
import type { AutoscaleInit } from './autoscale.js';
import type { ByteSize } from './byte-size.js';
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
  /**
   * `lean`: messages hold only the headers that say something, which Python reads just as well. `full`: all of Celery's, with
   * the arguments as text, which Python's monitors show. Stores that only this library reads are always lean. Default `lean`.
   * `TASKQUEUE_HEADERS`.
   */
  readonly headers: 'lean' | 'full';
  /** Compress message bodies: `zlib`, `gzip` or `brotli`. Default none. `TASKQUEUE_COMPRESSION`. */
  readonly compression: 'zlib' | 'gzip' | 'brotli' | 'none';
  /**
   * Of messages that are read besides JSON, e.g. `msgpackSerializer(…)` and `yamlSerializer(…)`. What we write is JSON.
   * Default none. Code only.
   */
  readonly serializers?: readonly Serializer[] | undefined;
  /** Largest message body that is sent or accepted, bytes, after decompression. Default 1 MiB. `TASKQUEUE_MAX_BODY_BYTES`. */
  readonly maxBodyBytes: number;
  /** Deepest nesting of a message body that is accepted. Default 100. `TASKQUEUE_MAX_BODY_DEPTH`. */
  readonly maxBodyDepth: number;
  /** Most object keys and array items in a message body that is accepted. Default 10 000. `TASKQUEUE_MAX_BODY_KEYS`. */
  readonly maxBodyKeys: number;
  /** How often a publish is tried again when the broker cannot be reached. Default 3. `TASKQUEUE_PUBLISH_RETRIES`. */
  readonly publishRetries: number;
  readonly client: ClientSettings;
  readonly worker: WorkerSettings;
  readonly beat: BeatSettings;
}

/** Settings of clients. */
export interface ClientSettings {
  /** Tell monitors of each task that is sent (`task-sent`), as Celery's `task_send_sent_event`. Default false. `TASKQUEUE_CLIENT_SENT_EVENTS`. */
  readonly sentEvents: boolean;
}

/** How a process that is a worker or a beat shows how it is. Taken by `runWorker` and `runBeat`; the same for both. */
export interface ProbeSettings {
  /**
   * Port on which `/livez` and `/readyz`, and with `metrics` `/metrics`, are answered over HTTP; 0: one that the system
   * picks, which the log names. Default: none. `TASKQUEUE_WORKER_HEALTH_PORT`, `TASKQUEUE_BEAT_HEALTH_PORT`.
   */
  readonly healthPort: number | undefined;
  /** Address that it listens on. Default `0.0.0.0`, all of IPv4. `TASKQUEUE_WORKER_HEALTH_HOST`, `TASKQUEUE_BEAT_HEALTH_HOST`. */
  readonly healthHost: string;
  /**
   * A file that is touched every 5 s while the event loop turns, and removed at the end. Its folder has to exist. Default:
   * none. `TASKQUEUE_WORKER_HEALTH_FILE`, `TASKQUEUE_BEAT_HEALTH_FILE`.
   */
  readonly healthFile: string | undefined;
  /** Answer `/metrics` on the health port, for Prometheus; needs the package `prom-client`. Default false. `TASKQUEUE_WORKER_METRICS`, `TASKQUEUE_BEAT_METRICS`. */
  readonly metrics: boolean;
}

/** Settings of workers. */
export interface WorkerSettings extends ProbeSettings {
  /** `name@host`; several on one host need different names. Default `worker@<host>#<pid>`. `TASKQUEUE_WORKER_NAME`. */
  readonly name: string | undefined;
  /** Queues to take from, in order of preference. Default: the default queue and every queue a registered task names. `TASKQUEUE_WORKER_QUEUES`, separated by commas. */
  readonly queues: readonly string[] | undefined;
  /**
   * `async`: handlers side by side on one thread. `solo`: one at a time. `threads`, `prefork`: one at a time in each of
   * several threads or processes, with an application context of its own. Default `async`. `TASKQUEUE_WORKER_POOL`.
   */
  readonly pool: PoolName;
  /**
   * Handlers that run side by side. Default 10 in the async pool, the number of processors with `threads` and `prefork`;
   * always 1 in `solo`. `TASKQUEUE_WORKER_CONCURRENCY`.
   */
  readonly concurrency: number | undefined;
  /**
   * Grow to `max` while tasks wait, shrink to `min` when it is quiet: `{ max, min }`, or text `'max,min'`. Not in `solo`.
   * `concurrency` is then the size it starts with, default `min`. Default: the size stays. `TASKQUEUE_WORKER_AUTOSCALE`.
   */
  readonly autoscale: AutoscaleInit | undefined;
  /** Queue → how many of its tasks run here at once, at most. Default: no other limit than the pool. `TASKQUEUE_WORKER_QUEUE_CONCURRENCY`, as `reports=2,mail=4`. */
  readonly queueConcurrency: Readonly<Record<string, number>> | undefined;
  /**
   * `strict`: nothing of a queue is taken while one before it has tasks. `weighted`: each queue gets its share by
   * `queueWeights`. Default `strict`. `TASKQUEUE_WORKER_QUEUE_ORDER`.
   */
  readonly queueOrder: 'strict' | 'weighted';
  /** Queue → weight, 1 to 1000, in the weighted order; of those that are not named 1. Default: all 1. `TASKQUEUE_WORKER_QUEUE_WEIGHTS`, as `mail=3,default=1`. */
  readonly queueWeights: Readonly<Record<string, number>> | undefined;
  /** A child of `threads` or `prefork` is replaced after so many tasks. Default: never. `TASKQUEUE_WORKER_MAX_TASKS_PER_CHILD`. */
  readonly maxTasksPerChild: number | undefined;
  /**
   * A child that has more memory than this after a task is replaced: of a process what is resident, of a thread its heap
   * and buffers. Bytes, or text such as `'200mb'`. Default: none. `TASKQUEUE_WORKER_MAX_MEMORY_PER_CHILD`.
   */
  readonly maxMemoryPerChild: ByteSize | undefined;
  /**
   * Variables that children get besides the few that every program needs and those that begin with `TASKQUEUE_`. A `*`
   * at the end stands for anything. Default: none. `TASKQUEUE_WORKER_CHILD_ENVIRONMENT`, separated by commas.
   */
  readonly childEnvironment: readonly string[] | undefined;
  /** How long a task stays with a worker that says nothing. Default 30 s; at least 1 s. `TASKQUEUE_WORKER_LEASE`. */
  readonly lease: Duration;
  /** From SIGTERM to exit, hand-back included. Default 25 s. `TASKQUEUE_WORKER_SHUTDOWN_GRACE`. */
  readonly shutdownGrace: Duration;
  /** Record STARTED for every task. Default false. `TASKQUEUE_WORKER_TRACK_STARTED`. */
  readonly trackStarted: boolean;
  /** A task whose worker was lost this often while it ran is put to the dead letters. Default 3. `TASKQUEUE_WORKER_MAX_LOST`. */
  readonly maxLost: number;
  /**
   * Which commands it obeys that are said over the broker: `all`, `inspect` for those that only ask, or `none`. Default `all`.
   * `TASKQUEUE_WORKER_CONTROL`.
   */
  readonly control: 'all' | 'inspect' | 'none';
  /**
   * Tell monitors what happens to each task, as Celery's `-E`. Default false; `enable_events` turns it on at run time.
   * `TASKQUEUE_WORKER_EVENTS`.
   */
  readonly events: boolean;
  /**
   * How often monitors are told that it is there, and by how long they may miss it; `0`: never. Default 2 s, as Celery's. On
   * stores that only this library reads it is told with `events` only. `TASKQUEUE_WORKER_HEARTBEAT`.
   */
  readonly heartbeat: Duration;
  /**
   * Commands that change something are obeyed only when they are signed with this text, as `ControlBus` signs them; at least 16
   * characters. Python's clients cannot sign. Default: they need no signature. `TASKQUEUE_WORKER_CONTROL_SECRET`.
   */
  readonly controlSecret: string | undefined;
  /** Log a line for each start and end of a task. Default true. `TASKQUEUE_WORKER_LOG_TASKS`. */
  readonly logTasks: boolean;
  /**
   * Lines of tasks have fields — id, name, queue, attempt, state, run time, trace — which Nest's logger writes as such with
   * `json: true`. Default false. `TASKQUEUE_WORKER_LOG_FIELDS`.
   */
  readonly logFields: boolean;
}

/** Pools by name; see {@link WorkerSettings.pool}. */
export type PoolName = 'async' | 'solo' | 'threads' | 'prefork';

/** Settings of beats. */
export interface BeatSettings extends ProbeSettings {
  /** Longest time between two looks at the schedule store: how soon an edit is noticed. Default 1 s. `TASKQUEUE_BEAT_POLL`. */
  readonly poll: Duration;
}

/** What a user gives: any part of it. */
export type TaskQueueSettingsInit = Partial<Omit<TaskQueueSettings, 'client' | 'worker' | 'beat'>> & {
  readonly client?: Partial<ClientSettings>;
  readonly worker?: Partial<WorkerSettings>;
  readonly beat?: Partial<BeatSettings>;
};

const NO_PROBES: ProbeSettings = {
  healthPort: undefined,
  healthHost: '0.0.0.0',
  healthFile: undefined,
  metrics: false,
};

/** What holds where neither code nor environment says otherwise. */
export const DEFAULT_SETTINGS: TaskQueueSettings = {
  defaultQueue: 'default',
  resultExpires: '1d',
  dialect: '5.6',
  headers: 'lean',
  compression: 'none',
  maxBodyBytes: 1_048_576,
  maxBodyDepth: 100,
  maxBodyKeys: 10_000,
  publishRetries: 3,
  client: { sentEvents: false },
  worker: {
    name: undefined,
    queues: undefined,
    pool: 'async',
    concurrency: undefined,
    autoscale: undefined,
    queueConcurrency: undefined,
    queueOrder: 'strict',
    queueWeights: undefined,
    maxTasksPerChild: undefined,
    maxMemoryPerChild: undefined,
    childEnvironment: undefined,
    lease: '30s',
    shutdownGrace: '25s',
    trackStarted: false,
    control: 'all',
    controlSecret: undefined,
    maxLost: 3,
    events: false,
    heartbeat: '2s',
    logTasks: true,
    logFields: false,
    ...NO_PROBES,
  },
  beat: { poll: '1s', ...NO_PROBES },
};
