import type { DeadLetter, ListPlace, MessageStatus, QueuedMessage, QueueFacts, QueueInspector } from '@taskqueue/core';
import { checkListLimit, comparePlaces, parsePlace, placeCursor } from '@taskqueue/core';
import { openEnvelope } from './kombu-envelope.js';
import { listOf } from './kombu-priority.js';
import type { RedisConnection } from './redis-connection.js';
import type { QueueKeys, RedisKeys } from './redis-keys.js';
import type { RedisQueues } from './redis-queues.js';

export interface RedisInspectorOptions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  readonly queues: RedisQueues;
}

interface DeadPage {
  readonly messages: readonly DeadLetter[];
  readonly nextCursor?: string;
}

/** Messages that one call deletes, at most; fewer where they are long. */
const PURGE_BATCH = 500;
/** Dead messages that one call puts back, at most. */
const REDRIVE_BATCH = 100;

/** The inspector on Redis. Depths come from the lengths of lists and sets, which cost the same however long they are. */
export class RedisInspector implements QueueInspector {
  constructor(private readonly options: RedisInspectorOptions) {}

  queues(): Promise<readonly QueueFacts[]> {
    return this.options.queues.each((queue) => this.facts(queue));
  }

  peek(query: {
    readonly queue: string;
    readonly status: MessageStatus;
    readonly limit: number;
  }): Promise<readonly QueuedMessage[]> {
    const queue = this.options.keys.queue(query.queue);
    if (query.limit < 1) return Promise.resolve([]);
    switch (query.status) {
      case 'ready':
        return this.peekReady(queue, query.limit);
      case 'delayed':
        return this.peekDelayed(queue, query.limit);
      case 'leased':
        return this.peekLeased(queue, query.limit);
    }
  }

  async purge(queue: string): Promise<number> {
    const { ready, suspects, delayed, delayedMessages, ids } = this.options.keys.queue(queue);
    const keys = [...ready, suspects, delayed, delayedMessages, ids];
    let purged = 0;
    for (;;) {
      const answer = (await this.options.connection.run('purge', keys, [PURGE_BATCH])) as [number, 0 | 1];
      const [deleted, more] = answer;
      purged += deleted;
      // Not until nothing comes any more: who goes on sending would hold this up for ever.
      if (more === 0) return purged;
    }
  }

  async pause(queue: string): Promise<void> {
    await this.setPaused(queue, 1);
  }

  async resume(queue: string): Promise<void> {
    await this.setPaused(queue, 0);
  }

  async deadLetters(query: {
    readonly queue?: string;
    readonly limit: number;
    readonly cursor?: string;
  }): Promise<DeadPage> {
    checkListLimit(query.limit);
    const { queues, keys } = this.options;
    const before = parsePlace(query.cursor);
    const dead = (queue: QueueKeys): Promise<PlacedLetter[]> => this.dead(queue, before, query.limit + 1);
    const pages = query.queue === undefined ? await queues.each(dead) : [await dead(keys.queue(query.queue))];
    const all = pages.flat().sort((a, b) => comparePlaces(b.place, a.place));
    const page = all.slice(0, query.limit);
    const messages = page.map((one) => one.letter);
    const last = page.at(-1);
    return all.length > page.length && last !== undefined
      ? { messages, nextCursor: placeCursor(last.place) }
      : { messages };
  }

  async redrive(taskIds: readonly string[]): Promise<readonly string[]> {
    const wanted = [...new Set(taskIds)];
    if (wanted.length === 0) return [];
    const redriven = await this.options.queues.each(async (queue) => {
      const ids: string[] = [];
      for (let start = 0; start < wanted.length; start += REDRIVE_BATCH) {
        ids.push(...(await this.redriveFrom(queue, wanted.slice(start, start + REDRIVE_BATCH))));
      }
      return ids;
    });
    return redriven.flat();
  }

  private async facts(queue: QueueKeys): Promise<QueueFacts> {
    const { ready: lists, suspects, delayed: set, consumers, dead: graves, state, leasedPrefix } = queue;
    const keys = [...lists, suspects, set, consumers, graves, state];
    const answer = (await this.options.connection.run('facts', keys, [leasedPrefix])) as number[];
    const [ready = 0, delayed = 0, leased = 0, dead = 0, paused = 0, oldest = -1] = answer;
    return {
      name: queue.queue,
      paused: paused === 1,
      ready,
      delayed,
      leased,
      dead,
      oldestReadyMs: oldest < 0 ? undefined : oldest,
    };
  }

  private async peekReady(queue: QueueKeys, limit: number): Promise<readonly QueuedMessage[]> {
    const order = Array.from(queue.priorities.order, (list) => queue.ready[Number(list) - 1] as string);
    const lists = [queue.suspects, ...order];
    const read = async (list: string): Promise<string[]> =>
      (await this.options.connection.command('lrange', list, -limit, -1)) as string[];
    const texts = await Promise.all(lists.map(read));
    const messages = texts.flatMap((one) => one.reverse()).map((text) => queuedMessage(queue, text));
    // Of one instant, what is taken first comes first: sorting keeps their order.
    return messages.sort((a, b) => a.enqueuedAt - b.enqueuedAt).slice(0, limit);
  }

  private async peekDelayed(queue: QueueKeys, limit: number): Promise<readonly QueuedMessage[]> {
    const { connection } = this.options;
    const scored = await connection.command('zrange', queue.delayed, 0, limit - 1, 'withscores');
    const dues = pairs(scored as string[]);
    if (dues.length === 0) return [];
    const ids = dues.map(([id]) => id);
    const texts = (await connection.command('hmget', queue.delayedMessages, ...ids)) as (string | null)[];
    return dues.flatMap(([, due], index) => {
      const text = texts[index];
      return text === null || text === undefined ? [] : [queuedMessage(queue, text.slice(1), Number(due))];
    });
  }

  private async peekLeased(queue: QueueKeys, limit: number): Promise<readonly QueuedMessage[]> {
    const { connection } = this.options;
    const consumers = (await connection.command('zrange', queue.consumers, 0, -1)) as string[];
    const found: QueuedMessage[] = [];
    for (const consumer of consumers) {
      const key = queue.leased(consumer);
      const fields = ((await connection.command('hkeys', key)) as string[]).filter((field) => field !== '@');
      const some = fields.slice(0, limit);
      if (some.length === 0) continue;
      const texts = (await connection.command('hmget', key, ...some)) as (string | null)[];
      found.push(...texts.flatMap((text) => (text === null ? [] : [queuedMessage(queue, text)])));
    }
    return found.sort((a, b) => a.enqueuedAt - b.enqueuedAt).slice(0, limit);
  }

  private async setPaused(name: string, paused: 0 | 1): Promise<void> {
    const queue = this.options.keys.queue(name);
    await this.options.queues.ensure([name]);
    await this.options.connection.run('pause', [queue.state, queue.wake], [paused]);
  }

  private async dead(queue: QueueKeys, before: ListPlace | undefined, limit: number): Promise<PlacedLetter[]> {
    const { connection } = this.options;
    const from = before === undefined ? '+inf' : before[0];
    // One more, because of what was shown last, or died at the same instant in another queue.
    const range = ['zrevrangebyscore', queue.dead, from, '-inf', 'withscores', 'limit', 0, limit + 1] as const;
    const [name, ...args] = range;
    const scored = pairs((await connection.command(name, ...args)) as string[]);
    const places = scored
      .map(([id, died]): ListPlace => [Number(died), id])
      .filter((place) => before === undefined || comparePlaces(place, before) < 0);
    if (places.length === 0) return [];
    const ids = places.map(([, id]) => id);
    const texts = (await connection.command('hmget', queue.deadMessages, ...ids)) as (string | null)[];
    return places.flatMap((place, index) => {
      const letter = deadLetter(queue, place, texts[index]);
      return letter === undefined ? [] : [{ place, letter }];
    });
  }

  private async redriveFrom(queue: QueueKeys, ids: readonly string[]): Promise<string[]> {
    const { connection, keys } = this.options;
    const texts = (await connection.command('hmget', queue.deadMessages, ...ids)) as (string | null)[];
    const dead = ids.flatMap((id, index) => {
      const text = texts[index];
      return text === null || text === undefined
        ? []
        : [{ id, list: listOf(queue.priorities.toKombu(openEnvelope(buried(text).text, queue.priorities).priority)) }];
    });
    if (dead.length === 0) return [];
    const results = dead.map(({ id }) => keys.result(id));
    // What is redriven must be able to end anew. In a cluster the records are elsewhere, and go first.
    if (connection.isCluster) await Promise.all(results.map((key) => connection.command('del', key)));
    const own = [...queue.ready, queue.dead, queue.deadMessages, queue.ids, queue.wake];
    const args = dead.flatMap(({ id, list }) => [id, list]);
    return (await connection.run('redrive', [...own, ...(connection.isCluster ? [] : results)], args)) as string[];
  }
}

interface PlacedLetter {
  /** When it died, in microseconds, and its id. */
  readonly place: ListPlace;
  readonly letter: DeadLetter;
}

function queuedMessage(queue: QueueKeys, text: string, eta?: number): QueuedMessage {
  const { message, id, task, priority, acceptedAt } = openEnvelope(text, queue.priorities);
  return { id, task, queue: queue.queue, priority, enqueuedAt: acceptedAt ?? 0, eta, message };
}

function deadLetter(
  queue: QueueKeys,
  [died, id]: ListPlace,
  stored: string | null | undefined,
): DeadLetter | undefined {
  if (stored === null || stored === undefined) return undefined;
  const { reason, text } = buried(stored);
  return { ...queuedMessage(queue, text), id, reason, diedAt: Math.floor(died / 1_000) };
}

/** `<bytes of the reason>:<reason><message>` */
function buried(stored: string): { readonly reason: string; readonly text: string } {
  const colon = stored.indexOf(':');
  const bytes = Buffer.from(stored.slice(colon + 1));
  const length = Number(stored.slice(0, colon));
  return { reason: bytes.toString('utf8', 0, length), text: bytes.toString('utf8', length) };
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [
    flat[2 * index] as string,
    flat[2 * index + 1] as string,
  ]);
}
