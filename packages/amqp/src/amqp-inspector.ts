import type {
  DeadLetter,
  ListPlace,
  MessageStatus,
  QueuedMessage,
  QueueFact,
  QueueFacts,
  QueueInspector,
} from '@taskqueue/core';
import { BrokerError, checkListLimit, comparePlaces, parsePlace, placeCursor, silentLogger } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import type { AmqpDeadLetters, Buried } from './amqp-dead-letters.js';
import type { AmqpFleet } from './amqp-fleet.js';
import type { AmqpGate } from './amqp-gate.js';
import { AmqpHeld } from './amqp-held.js';
import type { AmqpInnocents } from './amqp-innocents.js';
import type { AmqpManagement, ManagedQueue } from './amqp-management.js';
import type { OpenedMessage } from './amqp-message.js';
import { idOf, openMessage, outgoingFrom, priorityOf, taskOf } from './amqp-message.js';
import type { AmqpPublisher } from './amqp-publisher.js';
import type { Arrival } from './amqp-session.js';
import { AmqpSession } from './amqp-session.js';
import { AmqpSorter } from './amqp-sorter.js';
import type { AmqpTopology } from './amqp-topology.js';
import { deadQueue, isOurOwn, pausedQueue, queueOfDead } from './amqp-topology.js';

export interface AmqpInspectorOptions {
  /** The one that never publishes. */
  readonly connection: AmqpConnection;
  readonly topology: AmqpTopology;
  readonly publisher: AmqpPublisher;
  readonly innocents: AmqpInnocents;
  readonly gate: AmqpGate;
  readonly fleet: AmqpFleet;
  readonly deadLetters: AmqpDeadLetters;
  readonly management: AmqpManagement | undefined;
}

interface DeadPage {
  readonly messages: readonly DeadLetter[];
  readonly nextCursor?: string;
}

/**
 * The inspector on RabbitMQ. What AMQP answers, and what the management API adds where it may be asked (`managementUrl`):
 *
 * | question                | AMQP                                             | with the management API              |
 * | ----------------------- | ------------------------------------------------ | ------------------------------------ |
 * | which queues            | those that this process has declared or looked at | all durable ones of the vhost        |
 * | ready, dead, paused     | passive declarations                             | of queues not declared here          |
 * | leased                  | —                                                | count, up to five seconds old        |
 * | age of the oldest ready | —                                                | classic queues, whole seconds        |
 * | delayed                 | — : all queues share the levels of delay         | —                                    |
 * | peek ready              | taken and given back                             |                                      |
 * | dead letters            | all taken and given back; see amqp-dead-letters.ts |                                    |
 *
 * A message that was looked at comes with the broker's flag `redelivered`, as one does whose worker died. The processes that
 * run are told of it; to one that starts later it looks like a first return, for which nobody is blamed, but which costs
 * the message its place in line.
 */
export class AmqpInspector implements QueueInspector {
  readonly cannotTell: readonly QueueFact[];
  /** Whose dead letters somebody asked for: what was shown can be put back. */
  private readonly lookedAt = new Set<string>();

  constructor(private readonly options: AmqpInspectorOptions) {
    this.cannotTell = options.management === undefined ? ['delayed', 'leased', 'oldestReadyMs'] : ['delayed'];
  }

  async queues(): Promise<readonly QueueFacts[]> {
    const { topology, management } = this.options;
    const managed = await management?.queues();
    const others = [...(managed?.keys() ?? [])].filter((name) => !topology.queues.has(name) && !isOurOwn(name));
    const own = await Promise.all([...topology.queues].map((name) => this.facts(name, managed)));
    return [...own, ...others.map((name) => managedFacts(name, managed ?? new Map()))].sort((a, b) =>
      a.name < b.name ? -1 : 1,
    );
  }

  peek(query: {
    readonly queue: string;
    readonly status: MessageStatus;
    readonly limit: number;
  }): Promise<readonly QueuedMessage[]> {
    if (query.status !== 'ready') return Promise.reject(cannotPeek(query.status));
    return query.limit < 1 ? Promise.resolve([]) : this.peekReady(query.queue, query.limit);
  }

  /** Delayed messages stay: they wait where those of all queues do. */
  async purge(queue: string): Promise<number> {
    const { topology } = this.options;
    await topology.ensureQueue(queue);
    const { messageCount } = await topology.run((channel) => channel.purgeQueue(queue));
    return messageCount;
  }

  async pause(queue: string): Promise<void> {
    await this.options.topology.ensureQueue(queue);
    await this.options.gate.pause(queue);
  }

  async resume(queue: string): Promise<void> {
    await this.options.topology.ensureQueue(queue);
    await this.options.gate.resume(queue);
  }

  async deadLetters(query: {
    readonly queue?: string;
    readonly limit: number;
    readonly cursor?: string;
  }): Promise<DeadPage> {
    checkListLimit(query.limit);
    const before = parsePlace(query.cursor);
    if (query.queue !== undefined) this.lookedAt.add(query.queue);
    const queues = query.queue === undefined ? await this.queuesWithDead() : [query.queue];
    const read = (queue: string): Promise<DeadLetter[]> =>
      this.options.deadLetters.with(queue, (letters) => Promise.resolve(letters.map((one) => deadLetter(queue, one))));
    const all = (await Promise.all(queues.map(read))).flat().sort((a, b) => comparePlaces(placeOf(b), placeOf(a)));
    const rest = before === undefined ? all : all.filter((one) => comparePlaces(placeOf(one), before) < 0);
    const messages = rest.slice(0, query.limit);
    const last = messages.at(-1);
    return rest.length > messages.length && last !== undefined
      ? { messages, nextCursor: placeCursor(placeOf(last)) }
      : { messages };
  }

  async redrive(taskIds: readonly string[]): Promise<readonly string[]> {
    const wanted = new Set(taskIds);
    if (wanted.size === 0) return [];
    const redriven: string[] = [];
    for (const queue of await this.queuesWithDead()) {
      const found = await this.options.deadLetters.with(queue, (letters) =>
        this.revive(
          queue,
          letters.filter(({ id }) => wanted.has(id)),
        ),
      );
      redriven.push(...found);
    }
    return [...new Set(redriven)];
  }

  private async facts(name: string, managed: ReadonlyMap<string, ManagedQueue> | undefined): Promise<QueueFacts> {
    const { topology, gate } = this.options;
    await topology.ensureDead(name);
    const [ready = 0, dead = 0, paused] = await Promise.all([
      topology.count(name),
      topology.count(deadQueue(name)),
      gate.look(name),
    ]);
    return { name, paused, ready, delayed: undefined, dead, ...managedPart(ready, managed?.get(name)) };
  }

  private async queuesWithDead(): Promise<readonly string[]> {
    const { topology, management } = this.options;
    const managed = [...((await management?.queues())?.values() ?? [])];
    const listed = managed.flatMap(({ name, ready }) => (ready > 0 ? (queueOfDead(name) ?? []) : []));
    return [...new Set([...topology.queues, ...this.lookedAt, ...listed])].sort();
  }

  private async peekReady(queue: string, limit: number): Promise<readonly QueuedMessage[]> {
    const { connection, topology, publisher, innocents, fleet } = this.options;
    await topology.ensureQueue(queue);
    const sorter = new AmqpSorter({ held: new AmqpHeld(innocents), innocents, publisher, logger: () => silentLogger });
    const arrivals: Arrival[] = [];
    const session = new AmqpSession(await connection.createChannel(), {
      onLost: () => undefined,
      onQueueGone: () => undefined,
      onArrival: () => undefined,
    });
    try {
      while (arrivals.length < limit && (await session.getOne(queue))) arrivals.push(...session.take());
      await fleet.tell({ kind: 'excused', queue, messages: sorter.excuses(arrivals) });
      await Promise.all(arrivals.map((arrival) => sorter.giveBack(session, arrival)));
    } finally {
      await session.close();
    }
    return arrivals
      .map(({ message }) => queuedMessage(queue, openMessage(message)))
      .sort((a, b) => a.enqueuedAt - b.enqueuedAt);
  }

  /** Sends them anew, and takes them out then: a crash in between leaves both, and never neither. */
  private async revive(queue: string, letters: readonly Buried[]): Promise<string[]> {
    const { publisher } = this.options;
    const placed = letters.map(({ opened: { message, counters, epitaph } }) => {
      const home = epitaph?.queue === undefined || epitaph.queue === '' ? queue : epitaph.queue;
      return publisher.placeAsIs(outgoingFrom(message, home), { runs: counters.runs, losses: 0, marked: false });
    });
    const outcomes = await publisher.send(placed);
    const revived = letters.filter((_, index) => outcomes[index]?.status === 'accepted');
    for (const letter of revived) letter.remove();
    const failed = outcomes.find((one) => 'error' in one);
    if (failed !== undefined && 'error' in failed) throw failed.error;
    return revived.map(({ id }) => id);
  }
}

/** Where a dead letter stands among all: when it died, and its id. */
function placeOf({ diedAt, id }: DeadLetter): ListPlace {
  return [diedAt, id];
}

function managedFacts(name: string, managed: ReadonlyMap<string, ManagedQueue>): QueueFacts {
  const queue = managed.get(name);
  const ready = queue?.ready ?? 0;
  const dead = managed.get(deadQueue(name))?.ready ?? 0;
  const paused = (managed.get(pausedQueue(name))?.ready ?? 0) > 0;
  return { name, paused, ready, delayed: undefined, dead, ...managedPart(ready, queue) };
}

function managedPart(ready: number, queue: ManagedQueue | undefined): Pick<QueueFacts, 'leased' | 'oldestReadyMs'> {
  const headAt = ready === 0 ? undefined : queue?.headAt;
  return {
    leased: queue?.unacknowledged,
    oldestReadyMs: headAt === undefined ? undefined : Math.max(0, Date.now() - headAt),
  };
}

function queuedMessage(queue: string, { message, counters }: OpenedMessage): QueuedMessage {
  return {
    id: idOf(message),
    task: taskOf(message),
    queue,
    priority: priorityOf(message),
    enqueuedAt: counters.at ?? 0,
    eta: undefined,
    message,
  };
}

function deadLetter(queue: string, { id, opened, diedAt, reason }: Buried): DeadLetter {
  return { ...queuedMessage(queue, opened), id, reason, diedAt };
}

function cannotPeek(status: 'delayed' | 'leased'): BrokerError {
  const why =
    status === 'delayed'
      ? 'messages of all queues wait together, and looking at one would take it'
      : 'only the worker that holds a message can see it';
  return new BrokerError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: `RabbitMQ cannot show ${status} messages: ${why}.`,
    remedy:
      status === 'leased'
        ? 'Set managementUrl to count them, or look at the results with trackStarted, or use a broker that can.'
        : 'Look at the results, or use a broker that can; managementUrl does not help.',
    fields: { field: 'status', value: status },
  });
}
