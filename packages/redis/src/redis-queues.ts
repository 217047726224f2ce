import { isTaskQueueError } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { QueueKeys, RedisKeys } from './redis-keys.js';

/** The queues that the server knows. */
export class RedisQueues {
  /** Made known by us since the data was last lost. */
  private readonly made = new Set<string>();
  /** Of other applications: our user may not touch them. */
  private readonly denied = new Set<string>();

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
  ) {}

  /** Those of the messages' queues that were not made known yet. Most often none. */
  unknown(messages: readonly { readonly queue: QueueKeys }[]): readonly string[] {
    let last: QueueKeys | undefined;
    const unknown: string[] = [];
    for (const { queue } of messages) {
      if (queue === last) continue;
      last = queue;
      if (!this.made.has(queue.queue)) unknown.push(queue.queue);
    }
    return unknown;
  }

  /** Were all queues of these made known by us? */
  areKnown(messages: readonly { readonly queue: string }[]): boolean {
    return messages.every(({ queue }) => this.made.has(queue));
  }

  /** Makes queues known to inspectors, and to Kombu, which looks a queue up by its exchange. */
  async ensure(names: Iterable<string>): Promise<void> {
    const fresh = [...new Set(names)].filter((name) => !this.made.has(name));
    if (fresh.length === 0) return;
    const bindings = fresh.map((name) => ['sadd', this.keys.binding(name), this.keys.bindingOf(name)] as const);
    const commands = [['sadd', this.keys.queues, ...fresh] as const, ...bindings];
    await Promise.all(commands.map(([name, ...args]) => this.connection.command(name, ...args)));
    for (const name of fresh) this.made.add(name);
  }

  /** Does something to every queue that our user may touch, one after another, and gathers what it answers. */
  async each<T>(work: (queue: QueueKeys) => Promise<T>): Promise<T[]> {
    const names = (await this.connection.command('smembers', this.keys.queues)) as string[];
    const answers: T[] = [];
    for (const name of names.sort()) {
      if (this.denied.has(name)) continue;
      try {
        answers.push(await work(this.keys.queue(name)));
      } catch (error) {
        if (!isTaskQueueError(error, 'CAPABILITY_UNSUPPORTED')) throw error;
        this.denied.add(name);
      }
    }
    return answers;
  }

  /** The server has lost its data, and these with it. */
  forget(): void {
    this.made.clear();
    this.denied.clear();
  }
}
