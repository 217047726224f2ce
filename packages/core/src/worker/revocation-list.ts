import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Repeat } from '../async/repeat.js';
import { repeat } from '../async/repeat.js';
import type { EncodedMessage } from '../message/encoded-message.js';
import { COMMANDS } from '../control/control-message.js';
import type { CommandVerifier } from '../control/command-signature.js';
import { isStampRevocation, revokedBy } from '../control/stamp-revocation.js';
import { readRevokeCommand } from '../control/revoke-command.js';
import type { TaskEnvelope } from '../message/task-message.js';
import type { ChannelSubscription, PubSub } from '../ports/pub-sub.js';
import type { Revocation, RevocationRequest, RevocationStore } from '../ports/revocations.js';

export interface RevocationListOptions {
  readonly store: RevocationStore | undefined;
  /** Where Celery's clients say what they revoke; absent: nobody does. */
  readonly commands?: RevocationCommands | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default 1 000. */
  readonly pollMs?: number;
  /** Called for each news, also for tasks this worker does not hold. */
  readonly onRevoked: (revocation: Revocation) => void;
}

/** Celery's command `revoke`, which workers keep in memory; here it is stored as well, so that all know and go on knowing. */
export interface RevocationCommands {
  readonly pubsub: PubSub;
  readonly worker: string;
  /** Only what it does not refuse is obeyed. */
  readonly verifier: CommandVerifier | undefined;
  readonly waiting: RevocationRequest['waiting'];
  /** 0: for ever. */
  readonly resultExpiresMs: number;
}

/** Bound of the list; the oldest go first. The store keeps them all. */
const MOST_REMEMBERED = 100_000;

/** A revocation that Celery's client says is remembered for so long. */
const LIVES_MS = 7 * 86_400_000;

/**
 * The revoked ids as this worker knows them: read whole before the first task is taken, then polled. Messages that
 * wait in the broker are taken out by the store itself; this list is for those that a worker holds already, for
 * retries, and for brokers that cannot look into their queues.
 */
export class RevocationList {
  private readonly known = new Map<string, Revocation>();
  private knowsStamps = false;
  private marker: string | undefined;
  private loop: Repeat | undefined;
  private ear: ChannelSubscription | undefined;

  constructor(private readonly options: RevocationListOptions) {}

  async start(): Promise<void> {
    const { store, clock, logger } = this.options;
    this.listen();
    if (store === undefined) return;
    await this.poll(store);
    const pollMs = this.options.pollMs ?? 1_000;
    this.loop = repeat({
      clock,
      step: async () => {
        await this.poll(store);
        return pollMs;
      },
      onError: (error) => logger.warn(`Reading revocations failed and is tried again: ${String(error)}`, 'Revocations'),
    });
  }

  /** True when the task must not start. */
  has(taskId: string): boolean {
    const revocation = this.known.get(taskId);
    return revocation !== undefined && revocation.expiresAt > this.options.clock.now();
  }

  /** True when it bears a stamp by which tasks were revoked. */
  hasStampOf(envelope: Pick<TaskEnvelope, 'stampedHeaders' | 'stamps'>): boolean {
    if (!this.knowsStamps) return false;
    return revokedBy(envelope).some((id) => this.has(id));
  }

  /** All tasks that must not start, as far as it is known here. */
  get ids(): readonly string[] {
    return [...this.known.keys()].filter((id) => !isStampRevocation(id) && this.has(id));
  }

  async stop(): Promise<void> {
    await this.ear?.close();
    await this.loop?.stop();
  }

  private listen(): void {
    const { commands, logger } = this.options;
    if (commands === undefined) return;
    this.ear = commands.pubsub.subscribe([COMMANDS], ({ message }) => this.hear(message, commands));
    this.ear.ready.catch((error: unknown) => {
      logger.debug(`Celery's command to revoke is not heard: ${String(error)}`, 'Revocations');
    });
  }

  private hear(message: EncodedMessage, { worker, waiting, resultExpiresMs, verifier }: RevocationCommands): void {
    const { clock, store, logger } = this.options;
    const now = clock.now();
    const command = readRevokeCommand(message, { worker, now });
    if (command === undefined || verifier?.refusal(message) !== undefined) return;
    const { terminate, isStored } = command;
    const revocations = command.taskIds.map((taskId) => ({ taskId, terminate, expiresAt: now + LIVES_MS }));
    this.remember(revocations);
    if (isStored || store === undefined) return;
    const recordExpiresAt = resultExpiresMs === 0 ? undefined : now + resultExpiresMs;
    // No message has the id of a stamp; who receives one that bears it records that.
    const requests = revocations.map((one) => {
      return { ...one, recordExpiresAt, waiting: isStampRevocation(one.taskId) ? ('leave' as const) : waiting };
    });
    store.revoke(requests).catch((error: unknown) => {
      logger.warn(`A revocation of Celery's could not be stored: ${String(error)}`, 'Revocations');
    });
  }

  private async poll(store: RevocationStore): Promise<void> {
    const { revocations, marker } = await store.since(this.marker);
    this.marker = marker;
    this.remember(revocations);
  }

  private remember(revocations: readonly Revocation[]): void {
    for (const revocation of revocations) {
      this.known.delete(revocation.taskId);
      this.known.set(revocation.taskId, revocation);
      if (isStampRevocation(revocation.taskId)) this.knowsStamps = true;
      this.options.onRevoked(revocation);
    }
    for (const id of this.known.keys()) {
      if (this.known.size <= MOST_REMEMBERED) break;
      this.known.delete(id);
    }
  }
}
