import type { OutgoingMessage, PublishOutcome } from '@taskqueue/core';
import { Coalescer } from '@taskqueue/core';
import { checkOutgoing, dueText, envelopeTail, messageHead } from './kombu-envelope.js';
import { listOf } from './kombu-priority.js';
import type { RedisClock } from './redis-clock.js';
import type { RedisConnection } from './redis-connection.js';
import type { RedisDelay } from './redis-delay.js';
import { isFateUnknown } from './redis-errors.js';
import type { QueueKeys, RedisKeys } from './redis-keys.js';
import type { RedisBodies } from './redis-options.js';
import type { RedisQueues } from './redis-queues.js';

export interface RedisPublisherOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  readonly queues: RedisQueues;
  readonly delay: RedisDelay;
  readonly clock: RedisClock;
  readonly bodies: RedisBodies;
}

/** A message as the scripts take it. */
export interface PlacedMessage {
  readonly id: string;
  readonly queue: QueueKeys;
  /** 1 to 4. */
  readonly list: number;
  /** '' for at once. */
  readonly due: string;
  /** How often it was delivered before. */
  readonly runs: number;
  /** The envelope without its opening brace. */
  readonly tail: string;
}

/** Messages and characters of one call, at most, so that the server is never busy for long. */
const LARGEST_CALL = 500;
const LONGEST_CALL = 4 * 1024 * 1024;
/** Of what is published together, so many go in a call. */
const PART = 100;
/** Ids of messages that others took are forgotten before the first publication to a queue, and after so many more. */
const FORGET_EVERY = 1_000;

/** Sends messages: the first at once, the others together, in one call for each list. */
export class RedisPublisher {
  private readonly coalescer: Coalescer<PlacedMessage, PublishOutcome>;
  private readonly sentTo = new Map<QueueKeys, number>();

  constructor(private readonly options: RedisPublisherOptions) {
    this.coalescer = new Coalescer({ calls: 4, send: (messages) => this.send(messages) });
  }

  publish(messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> {
    const [first] = messages;
    if (messages.length !== 1 || first === undefined) return this.publishMany(messages);
    const checked = this.check(first);
    return 'status' in checked ? Promise.resolve([checked]) : this.coalescer.add([checked]);
  }

  /** How the scripts take a message. Throws UsageError for one that cannot be sent. */
  place(message: OutgoingMessage, runs = 0): PlacedMessage {
    checkOutgoing(message);
    const queue = this.options.keys.queue(message.queue);
    const priority = queue.priorities.toKombu(message.priority);
    return {
      id: message.id,
      queue,
      list: listOf(priority),
      due: dueText(message),
      runs,
      tail: envelopeTail(message, { kombuPriority: priority, bodies: this.options.bodies }),
    };
  }

  /** Sends what `place` made. Never rejects. */
  async send(messages: readonly PlacedMessage[]): Promise<readonly PublishOutcome[]> {
    const queues = this.options.queues.unknown(messages);
    if (queues.length > 0) {
      try {
        await this.options.queues.ensure(queues);
      } catch (error) {
        // Nothing of them was sent yet.
        return messages.map(() => ({ status: 'refused', error: error as Error }));
      }
    }
    const outcomes = Array.from<PublishOutcome>({ length: messages.length });
    const firsts = new Map<string, number>();
    const twins: [number, number][] = [];
    const groups: Group[] = [];
    messages.forEach((message, index) => {
      const key = `${message.queue.queue} ${message.id}`;
      const first = firsts.get(key);
      if (first === undefined) {
        firsts.set(key, index);
        addTo(groups, message, index);
      } else twins.push([index, first]);
    });
    const [only] = groups;
    if (groups.length === 1 && only !== undefined) await this.sendGroup(only, outcomes);
    else await Promise.all(groups.map((group) => this.sendGroup(group, outcomes)));
    // Of two messages with one id the first stands, if it was taken.
    for (const [index, first] of twins) {
      const outcome = outcomes[first] as PublishOutcome;
      outcomes[index] = outcome.status === 'accepted' ? { status: 'duplicate' } : outcome;
    }
    return outcomes;
  }

  /** Many go in parts: the server stores one while the next is written here. They arrive in their order all the same. */
  private async publishMany(messages: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> {
    if (messages.length <= PART) return this.publishPart(messages, (placed) => this.coalescer.add(placed));
    // A part that waits until its queue is made known would be overtaken by those that need not.
    if (!this.options.queues.areKnown(messages)) return this.publishPart(messages, (placed) => this.send(placed));
    const parts: Promise<readonly PublishOutcome[]>[] = [];
    for (let from = 0; from < messages.length; from += PART) {
      parts.push(this.publishPart(messages.slice(from, from + PART), (placed) => this.send(placed)));
    }
    return (await Promise.all(parts)).flat();
  }

  private async publishPart(
    messages: readonly OutgoingMessage[],
    send: (placed: readonly PlacedMessage[]) => Promise<readonly PublishOutcome[]>,
  ): Promise<readonly PublishOutcome[]> {
    const checked = messages.map((message) => this.check(message));
    const placed = checked.filter((one): one is PlacedMessage => !('status' in one));
    const answers = placed.length === 0 ? [] : await send(placed);
    if (placed.length === checked.length) return answers;
    let next = 0;
    return checked.map((one) => ('status' in one ? one : (answers[next++] as PublishOutcome)));
  }

  private check(message: OutgoingMessage): PlacedMessage | PublishOutcome {
    try {
      return this.place(message);
    } catch (error) {
      return { status: 'refused', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  private async sendGroup(group: Group, outcomes: PublishOutcome[]): Promise<void> {
    this.countPublished(group.queue, group.messages.length);
    try {
      const known = await (group.isDelayed ? this.delayed(group) : this.ready(group));
      group.indexes.forEach((index, position) => {
        const isKnown = known !== 0 && known[position] === 1;
        outcomes[index] = isKnown ? { status: 'duplicate' } : { status: 'accepted' };
      });
    } catch (error) {
      const status = isFateUnknown(error) ? 'unknown' : 'refused';
      for (const index of group.indexes) outcomes[index] = { status, error: error as Error };
    }
  }

  private ready({ queue, list, messages }: Group): Promise<0 | number[]> {
    const args = messages.map((message) => message.id);
    const head = messageHead(this.options.clock.now());
    for (const message of messages) args.push(head + message.tail);
    const keys = [queue.ready[list - 1] as string, queue.ids, queue.delayed, queue.dead, queue.wake];
    return this.options.connection.run('publish', keys, args) as Promise<0 | number[]>;
  }

  private async delayed({ queue, messages }: Group): Promise<number[]> {
    const args = messages.flatMap(({ id, list, due, runs, tail }) => [id, list, due, runs, tail]);
    const keys = [...queue.ready, queue.delayed, queue.delayedMessages, queue.ids, queue.dead, queue.wake];
    const known = (await this.options.connection.run('delay', keys, args)) as number[];
    this.options.delay.published(messages);
    return known;
  }

  /** Messages that Python workers took leave their ids behind; see forget-ids.lua. It is sent before the publication. */
  private countPublished(queue: QueueKeys, count: number): void {
    const sent = this.sentTo.get(queue);
    if (sent === undefined) this.options.delay.watch(queue);
    const isDue = sent === undefined || sent >= FORGET_EVERY;
    this.sentTo.set(queue, isDue ? count : sent + count);
    if (isDue) this.forgetIds(queue).catch(() => undefined);
  }

  private async forgetIds(queue: QueueKeys): Promise<void> {
    const keys = [...queue.ready, queue.suspects, queue.consumers, queue.ids];
    await this.options.connection.run('forget-ids', keys, [queue.leasedPrefix]);
  }
}

/** Messages of one call, and where their outcomes belong. */
interface Group {
  readonly queue: QueueKeys;
  readonly list: number;
  readonly isDelayed: boolean;
  readonly messages: PlacedMessage[];
  readonly indexes: number[];
  size: number;
}

function addTo(groups: Group[], message: PlacedMessage, index: number): void {
  const { queue, list } = message;
  const isDelayed = message.due !== '' || message.runs > 0;
  let group = groups.findLast(
    (one) => one.queue === queue && one.isDelayed === isDelayed && (isDelayed || one.list === list),
  );
  const isFull = group !== undefined && (group.messages.length >= LARGEST_CALL || group.size >= LONGEST_CALL);
  if (group === undefined || isFull) {
    group = { queue, list, isDelayed, messages: [], indexes: [], size: 0 };
    groups.push(group);
  }
  group.messages.push(message);
  group.indexes.push(index);
  group.size += message.tail.length;
}
