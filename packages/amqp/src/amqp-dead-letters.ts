import type { Message } from 'amqplib';
import { BrokerError, systemClock, WakeUp } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import { isDelayQueue } from './amqp-delay.js';
import { amqpError } from './amqp-errors.js';
import type { NativeDeath, OpenedMessage } from './amqp-message.js';
import { deathOf, idOf, openMessage } from './amqp-message.js';
import { AmqpSession } from './amqp-session.js';
import type { AmqpTopology } from './amqp-topology.js';
import { deadQueue, lockQueue } from './amqp-topology.js';

/** A message in a queue of the dead. */
export interface Buried {
  readonly id: string;
  readonly opened: OpenedMessage;
  readonly diedAt: number;
  readonly reason: string;
  /** Takes it out for good. False when the channel is gone: then it is still there. */
  remove(): boolean;
}

const LOCK_PATIENCE_MS = 5_000;
const LOCK_RETRY_MS = 50;
const READ_PATIENCE_MS = 10_000;

/**
 * Reads queues of the dead. AMQP shows a message only to whoever takes it, so all are taken, and what is not removed goes back
 * to its place when the channel closes. Two readers would each see a part: one reads at a time, and the lock is an
 * exclusive queue, which ends with its connection.
 *
 * ```text
 *   my turn here ─► lock (exclusive queue) ─► take all ─► work: look, remove some ─► close the channel: the rest goes back ─► unlock
 * ```
 */
export class AmqpDeadLetters {
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly connection: AmqpConnection,
    private readonly topology: AmqpTopology,
  ) {}

  /** Does something with all dead letters of a queue. Rejects with BrokerError. */
  with<T>(queue: string, work: (letters: readonly Buried[]) => Promise<T>): Promise<T> {
    const result = this.turn.then(() => this.locked(queue, () => this.read(queue, work)));
    this.turn = result.catch(() => undefined);
    return result;
  }

  private async locked<T>(queue: string, work: () => Promise<T>): Promise<T> {
    await this.topology.ensureDead(queue);
    await this.lock(queue);
    try {
      return await work();
    } finally {
      await this.topology.run((channel) => channel.deleteQueue(lockQueue(queue))).catch(() => undefined);
    }
  }

  private async lock(queue: string): Promise<void> {
    const until = performance.now() + LOCK_PATIENCE_MS;
    for (;;) {
      try {
        await this.topology.run((channel) =>
          channel.assertQueue(lockQueue(queue), { exclusive: true, durable: false, autoDelete: false }),
        );
        return;
      } catch (error) {
        if ((error as { fields?: { reply?: unknown } }).fields?.reply !== RESOURCE_LOCKED) throw error;
        if (performance.now() > until) throw busy(queue);
        await systemClock.sleep(LOCK_RETRY_MS);
      }
    }
  }

  private async read<T>(queue: string, work: (letters: readonly Buried[]) => Promise<T>): Promise<T> {
    const name = deadQueue(queue);
    const channel = await this.connection.createChannel();
    const bell = new WakeUp();
    const ring = (): void => bell.ring();
    const session = new AmqpSession(channel, { onLost: ring, onQueueGone: ring, onArrival: ring });
    try {
      const { messageCount } = await channel.checkQueue(name);
      const until = performance.now() + READ_PATIENCE_MS;
      if (messageCount > 0) await session.subscribe(name, messageCount);
      while (session.waiting < messageCount && session.alive && performance.now() < until) {
        await bell.wait(systemClock, until - performance.now(), NEVER);
      }
      if (session.alive) await session.unsubscribe();
      return await work(session.take().map(({ message }) => buried(session, message)));
    } catch (error) {
      // It may be gone: the next who looks declares it again.
      this.topology.forget(queue);
      throw amqpError(error);
    } finally {
      await session.close();
    }
  }
}

const NEVER = new AbortController().signal;

/** Of what came here by itself; see amqp-delay.ts. */
const HOMELESS_REASON = 'its queue was deleted while it was delayed';

/** AMQP's reply code for an exclusive queue of somebody else. */
const RESOURCE_LOCKED = 405;

function buried(session: AmqpSession, message: Message): Buried {
  const opened = openMessage(message);
  const death = deathOf(message);
  return {
    id: idOf(opened.message),
    opened,
    diedAt: opened.epitaph?.diedAt ?? death?.at ?? 0,
    reason: opened.epitaph?.reason ?? reasonOf(death),
    remove: () => session.ack(message),
  };
}

/** Of what no worker has put here: the levels of delay, or a policy of the operator's. */
function reasonOf(death: NativeDeath | undefined): string {
  if (death === undefined) return '';
  return isDelayQueue(death.queue) ? HOMELESS_REASON : `${death.reason} in the queue ${death.queue}`;
}

function busy(queue: string): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: `Somebody else has been reading the dead letters of ${JSON.stringify(queue)} for ${LOCK_PATIENCE_MS} ms.`,
    remedy: 'Try again.',
    retryable: true,
    fields: { queue },
  });
}
