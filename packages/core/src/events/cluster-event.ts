/**
 * What workers and clients tell of themselves over the broker, in Celery's words: ours, and those of Python. Each type has
 * the fields that Celery gives it (celery 5, `docs/userguide/monitoring.rst`), in our spelling and units; what the sender
 * left out is undefined.
 */
export interface ClusterEventPayloads {
  /** It takes tasks from now on. */
  readonly 'worker-online': WorkerFacts;
  /** It is there; every `intervalMs`. */
  readonly 'worker-heartbeat': WorkerFacts;
  /** It has stopped in good order. */
  readonly 'worker-offline': WorkerFacts;
  /** A client has sent it. Only where clients are told to say so. */
  readonly 'task-sent': TaskDescription & SentTo;
  /** A worker has it. */
  readonly 'task-received': TaskDescription;
  readonly 'task-started': TaskReference;
  readonly 'task-succeeded': TaskReference & {
    /** Its value as Python shows it, bounded. */
    readonly result: string | undefined;
    readonly runtimeMs: number | undefined;
  };
  readonly 'task-failed': TaskReference & ExceptionText;
  /** It will be tried again. */
  readonly 'task-retried': TaskReference & ExceptionText;
  readonly 'task-rejected': TaskReference & { readonly requeue: boolean | undefined };
  readonly 'task-revoked': TaskReference & {
    /** It had started. */
    readonly terminated: boolean | undefined;
    /** Number of the signal that ended it; Python's workers only. */
    readonly signum: number | undefined;
    readonly expired: boolean | undefined;
  };
  /** It waits again, and no attempt is counted. Ours only, as all that follow. */
  readonly 'task-snoozed': TaskReference & { readonly delayMs: number | undefined };
  /** It ended with `Ignore`. */
  readonly 'task-ignored': TaskReference;
  /** Its worker has stopped before it ended; it is back in its queue. */
  readonly 'task-interrupted': TaskReference;
  /** The thread or process that ran it has ended. */
  readonly 'task-crashed': TaskReference & { readonly reason: string | undefined };
}

/** Celery's events, and ours, by name. */
export type ClusterEventType = keyof ClusterEventPayloads;

/** An event of one of the types that are known here. */
export type ClusterEvent = ClusterEventOf<ClusterEventType>;

/** The events of some types. */
export type ClusterEventOf<T extends ClusterEventType> = T extends ClusterEventType
  ? EventOrigin & { readonly type: T } & ClusterEventPayloads[T]
  : never;

/** An event of any other type: what an application of Python's sends of its own. */
export interface OtherEvent extends EventOrigin {
  readonly type: string;
}

/** Who told it, and when. */
export interface EventOrigin {
  /** `name@host` of a worker, `gen<pid>@<host>` of a client. */
  readonly hostname: string;
  /** Epoch milliseconds by the sender's clock. */
  readonly at: number;
  readonly pid: number | undefined;
  /** Of the sender's {@link LogicalClock}; 0 where there is none. */
  readonly clock: number;
  /** Hours that the sender's zone is behind UTC: positive in the west. */
  readonly utcoffset: number | undefined;
  /** All fields as they came, in Celery's spelling and units. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a worker says of itself. */
export interface WorkerFacts {
  /** Between two heartbeats. */
  readonly intervalMs: number | undefined;
  /** Tasks that it runs just now. */
  readonly active: number | undefined;
  /** Tasks that it has run since it started. */
  readonly processed: number | undefined;
  /** Of its host, over 1, 5 and 15 minutes. */
  readonly loadAverage: readonly number[] | undefined;
  /** `js-taskqueue`, `py-celery`. */
  readonly software: string | undefined;
  readonly version: string | undefined;
  /** `Linux`, `Darwin`, … */
  readonly system: string | undefined;
}

/** Which task an event is about. */
export interface TaskReference {
  /** The task's id. */
  readonly id: string;
}

/** What is called, and with what. */
export interface TaskDescription extends TaskReference {
  readonly name: string | undefined;
  /** Arguments as Python shows them, bounded: `(2, 'x')`, `{'k': True}`. */
  readonly args: string | undefined;
  readonly kwargs: string | undefined;
  readonly rootId: string | undefined;
  readonly parentId: string | undefined;
  readonly retries: number | undefined;
  /** Epoch milliseconds. */
  readonly eta: number | undefined;
  readonly expires: number | undefined;
}

/** Where a call was sent. */
export interface SentTo {
  readonly queue: string | undefined;
  readonly exchange: string | undefined;
  readonly routingKey: string | undefined;
}

/** An error as Celery's events carry it. */
export interface ExceptionText {
  /** As Python shows it: `ValueError('boom')`. */
  readonly exception: string | undefined;
  readonly traceback: string | undefined;
}
