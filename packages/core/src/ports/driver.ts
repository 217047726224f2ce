import type { BarrierStore } from './barrier-store.js';
import type { Broker } from './broker.js';
import type { ChordStore } from './chord-store.js';
import type { LockStore } from './lock-store.js';
import type { PubSub } from './pub-sub.js';
import type { QueueInspector } from './queue-inspector.js';
import type { ResultBackend } from './result-backend.js';
import type { RevocationStore } from './revocations.js';
import type { ScheduleStore } from './schedule-store.js';
import type { Logger } from '../ambient/logger.js';

/** What one technology offers. Ports it does not offer are absent. */
export interface Driver {
  /** `memory`, `sqlite`, `postgres`, `redis`, … */
  readonly name: string;
  /** Version of this contract; another one is refused. */
  readonly contract: 1;
  readonly broker?: Broker;
  readonly results?: ResultBackend;
  /**
   * Results sent to their callers over the broker itself, as Celery's `rpc://` does; used where `results: 'rpc'` is
   * chosen, and only there.
   */
  readonly rpc?: ResultBackend;
  readonly revocations?: RevocationStore;
  readonly schedules?: ScheduleStore;
  readonly inspector?: QueueInspector;
  readonly locks?: LockStore;
  readonly barriers?: BarrierStore;
  /** Where Celery's own result backend of the same store counts chords. */
  readonly chords?: ChordStore;
  readonly pubsub?: PubSub;
  /** Of the tables that it keeps its data in; absent where there are none. Used before `connect`, by whoever may change them. */
  readonly migrations?: DriverMigrations;
  /** Where it is, without credentials, for logs. */
  describe(): string;
  /** Idempotent; the ports may be used after it resolved. */
  connect(context: DriverContext): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
  /** Resolves when the store answers; rejects with BROKER_UNAVAILABLE otherwise. For health checks. */
  ping(): Promise<void>;
}

/** Changes of a store's schema. */
export interface DriverMigrations {
  /** Names of those that this version has and the store has not run, oldest first. Changes nothing. */
  pending(): Promise<readonly string[]>;
  /** Runs them, one process at a time, all or none. Names of those that were run. */
  run(): Promise<readonly string[]>;
}

/** What an application gives to its drivers. */
export interface DriverContext {
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}
