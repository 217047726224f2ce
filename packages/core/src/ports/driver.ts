import type { Broker } from './broker.js';
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
  readonly revocations?: RevocationStore;
  readonly schedules?: ScheduleStore;
  readonly inspector?: QueueInspector;
  /** Where it is, without credentials, for logs. */
  describe(): string;
  /** Idempotent; the ports may be used after it resolved. */
  connect(context: DriverContext): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
  /** Resolves when the store answers; rejects with BROKER_UNAVAILABLE otherwise. For health checks. */
  ping(): Promise<void>;
}

export interface DriverContext {
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}
