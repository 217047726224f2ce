import type { Logger } from '@taskqueue/core';
import type { PgClient } from './postgres-store.js';

export interface PostgresListenerOptions {
  /** pg's `Client` class, as the data source loaded it. */
  readonly Client: new (config: unknown) => ListeningClient;
  /** What the data source's pool connects with. */
  readonly config: unknown;
  readonly channel: string;
  readonly logger: () => Logger;
  /** `payload` is undefined when the connection is listening (again): something may have been missed. */
  readonly onNotification: (payload?: string) => void;
  /** The connection was lost; it is made anew. */
  readonly onLost?: () => void;
  /** What becomes of it meanwhile, for the log. Default: polling goes on. */
  readonly meanwhile?: string;
}

export interface ListeningClient extends PgClient {
  connect(): Promise<void>;
  end(): Promise<void>;
  on(event: 'error' | 'end' | 'notification', listener: (argument: never) => void): unknown;
}

const LONGEST_PAUSE_MS = 10_000;
/** A silent connection may be a dead one; a query tells, and fails when it is. */
const PROBE_EVERY_MS = 15_000;

/**
 * One connection that listens for wake-ups and is made anew when it breaks:
 *
 * ```text
 *   CONNECTING ──listen──► LISTENING ──error, end, failed probe──► WAITING ──pause──► CONNECTING
 *                              │ after each (re)connect: wake everybody, for what was missed meanwhile
 * ```
 *
 * Wake-ups are hints; whoever waits also looks by himself now and then.
 */
export class PostgresListener {
  private client: ListeningClient | undefined;
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;
  private stopped = false;

  constructor(private readonly options: PostgresListenerOptions) {}

  start(): void {
    void this.connect();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    const client = this.client;
    this.client = undefined;
    await client?.end().catch(() => undefined);
  }

  private async connect(): Promise<void> {
    const { Client, config, channel } = this.options;
    const client = new Client(config);
    this.client = client;
    client.on('error', () => this.lost(client));
    client.on('end', () => this.lost(client));
    client.on('notification', ({ payload }: { payload?: string }) => this.options.onNotification(payload ?? ''));
    try {
      await client.connect();
      await client.query({ text: `listen "${channel}"` });
    } catch (error) {
      this.lost(client, error);
      return;
    }
    if (this.stopped) {
      await client.end().catch(() => undefined);
      return;
    }
    this.failures = 0;
    this.options.onNotification();
    this.probeLater(client);
  }

  private probeLater(client: ListeningClient): void {
    this.timer = setTimeout(() => {
      client.query({ text: 'select 1', query_timeout: PROBE_EVERY_MS }).then(
        () => {
          if (this.client === client) this.probeLater(client);
        },
        (error: unknown) => this.lost(client, error),
      );
    }, PROBE_EVERY_MS);
    this.timer.unref();
  }

  private lost(client: ListeningClient, error?: unknown): void {
    if (this.client !== client) return;
    this.client = undefined;
    clearTimeout(this.timer);
    void client.end().catch(() => undefined);
    if (this.stopped) return;
    this.options.onLost?.();
    this.failures += 1;
    if (this.failures === 1) {
      const reason = error === undefined ? '' : `: ${error instanceof Error ? error.message : 'no answer'}`;
      this.options
        .logger()
        .warn(
          `A connection that listens was lost${reason}; ${this.options.meanwhile ?? 'polling goes on'}.`,
          'TaskQueue',
        );
    }
    const pause = Math.min(LONGEST_PAUSE_MS, 100 * 2 ** Math.min(this.failures, 10)) * (0.5 + Math.random() / 2);
    this.timer = setTimeout(() => void this.connect(), pause);
    this.timer.unref();
  }
}
