/** What a worker says of itself. */
export interface WorkerStatus {
  readonly name: string;
  readonly state: WorkerState;
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly active: number;
  readonly buffered: number;
  readonly stuck: number;
  readonly processed: number;
  /** Milliseconds since the broker last answered, or since the start; undefined before it. */
  readonly lastFetchMsAgo: number | undefined;
  /** Events that it could not tell the cluster: its broker was away, or too slow. */
  readonly lostEvents: number;
  /** Leases that others have by now, of tasks that ran and of tasks that waited here. */
  readonly lostLeases: number;
}

/** Life of a worker; drawn at `Worker`. */
export type WorkerState = 'new' | 'starting' | 'running' | 'draining' | 'aborting' | 'stopped';
