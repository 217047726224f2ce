import type {
  Consumer,
  Delivery,
  ExtendOutcome,
  Logger,
  ReceiveRequest,
  SettleOutcome,
  Settlement,
  Subscription,
} from '@taskqueue/core';
import { consumerClosed, systemClock, unlessAborted, WakeUp } from '@taskqueue/core';
import type { AmqpConnection } from './amqp-connection.js';
import type { AmqpDeadExchange } from './amqp-dead-exchange.js';
import type { AmqpDelayTopology } from './amqp-delay-topology.js';
import type { AmqpGate } from './amqp-gate.js';
import { AmqpHeld } from './amqp-held.js';
import type { AmqpInnocents } from './amqp-innocents.js';
import type { AmqpPublisher } from './amqp-publisher.js';
import { AmqpRefusedQueues } from './amqp-refused-queues.js';
import type { Arrival } from './amqp-session.js';
import { AmqpSession, FEW } from './amqp-session.js';
import { AmqpSettler } from './amqp-settler.js';
import { AmqpSorter } from './amqp-sorter.js';
import type { AmqpTopology } from './amqp-topology.js';

export interface AmqpConsumerOptions {
  readonly connection: AmqpConnection;
  readonly topology: AmqpTopology;
  readonly delays: AmqpDelayTopology;
  readonly publisher: AmqpPublisher;
  readonly deadExchange: AmqpDeadExchange;
  readonly innocents: AmqpInnocents;
  readonly gate: AmqpGate;
  readonly subscription: Subscription;
  readonly logger: () => Logger;
  /** Never subscribe for more than one message; for quorum queues. */
  readonly oneByOne: boolean;
  /** The server ended the channel because a task ran for longer than it waits for acknowledgements. */
  readonly onConsumerTimeout: (reason: string) => void;
  readonly onClosed: (consumer: AmqpConsumer) => void;
}

/** A wait ends after this long, so that whoever watches a worker sees that it is alive. */
const LONGEST_WAIT_MS = 10_000;
/** After an abort the server is asked for no more, and what is on its way is waited for; what comes later goes back. */
const ABORT_GRACE_MS = 500;
/**
 * Nothing is handed out unless the server has been heard so lately. Whoever is away for twice the time between heartbeats is
 * taken for dead, and a handler that blocks the event loop begins that time with this question.
 */
const PROOF_MS = 250;
/** What arrived and nobody asks for goes back after this long. */
const SURPLUS_MS = 50;
/** How long a request waits for the acknowledgements of what just ended, before it subscribes for more. */
const ACKNOWLEDGED_MS = 50;
const LONGEST_CLOSE_MS = 3_000;

/**
 * The receiving side of one worker. AMQP pushes; a worker asks, and what is pushed beyond what can start is held from other
 * workers. The limit of a subscription (prefetch) is fixed when it begins, counts per queue, and each acknowledgement makes
 * room for another push, wanted or not.
 *
 * From one queue: as much is subscribed for as is asked for, and the subscription stays while requests keep coming. A
 * worker asks for what it can hold minus what it holds, and that is just what the acknowledgements have made room for, so in
 * the steady state nothing has to be said:
 *
 * ```text
 *              receive(max), no subscription: subscribe, prefetch = max
 *   UNSUBSCRIBED ───────────────────────────────────────────────────► SUBSCRIBED ◄──┐ more is asked for than there is room,
 *        ▲                                                              │   │  │     │ and no acknowledgement comes: one more
 *        │                                                              │   │  └─────┘ subscription, prefetch = max
 *        ├──aborted (pause, stop): cancelled at once────────────────────┘   │
 *        ├──nobody has asked for 50 ms, and there is room───────────────────┤   what came meanwhile is given back
 *        └──there is room for over twice of what is asked for (it shrank)───┘
 * ```
 *
 * From several queues a limit per queue would let as many times too much come. So nothing stays subscribed: each queue in
 * order is asked how many messages it has; a few are taken one by one (basic.get), and more in one go by a
 * subscription that is cancelled as soon as it stands, what was there arriving in between. A quorum queue takes back what is
 * on its way then, and counts it as delivered: it is asked for one message at a time, which is slow. When all are
 * empty, all are subscribed to for one message each until one comes. The others' may come with it: they are
 * kept for the next request for 50 ms.
 *
 * A queue that is paused is left out (amqp-gate.ts). When one is paused or resumed during a wait, everything is ended and
 * given back, and begun anew.
 *
 * Acknowledgements go out on the same channel, on a connection that never publishes and so is never blocked by an alarm.
 * A lease is the channel: what it held is lost with it, and nothing of that can be settled any more (see amqp-held.ts).
 */
export class AmqpConsumer implements Consumer {
  /** What the latest request is about. */
  private queues: readonly string[];
  private readonly held: AmqpHeld;
  private readonly sorter: AmqpSorter;
  private readonly settler: AmqpSettler;
  private readonly refused: AmqpRefusedQueues;
  private readonly bell = new WakeUp();
  private readonly ending = new AbortController();
  private session: AmqpSession | undefined;
  /** The server ended a subscription since the wait began, or a queue was paused or resumed. */
  private interrupted = false;
  /** A queue was paused or resumed since it was looked at last. */
  private gateTurned = false;
  private readonly unlisten: () => void;
  private turn: Promise<unknown> = Promise.resolve();
  private surplus: NodeJS.Timeout | undefined;
  private receiving = 0;
  private lastAskedAt = 0;
  private closing: Promise<void> | undefined;

  constructor(private readonly options: AmqpConsumerOptions) {
    const { innocents, publisher, topology, deadExchange, subscription, logger } = options;
    this.queues = [...new Set(subscription.queues)];
    this.held = new AmqpHeld(innocents);
    this.sorter = new AmqpSorter({ held: this.held, innocents, publisher, logger });
    this.settler = new AmqpSettler({ held: this.held, innocents, publisher, topology, deadExchange });
    this.refused = new AmqpRefusedQueues({ topology, logger });
    this.unlisten = options.gate.onChange((queue) => this.turned(queue));
  }

  async receive(request: ReceiveRequest): Promise<readonly Delivery[]> {
    const { max, signal, queues = this.options.subscription.queues } = request;
    if (this.closing !== undefined) throw consumerClosed();
    if (max <= 0 || signal.aborted) return [];
    this.receiving += 1;
    const coming = this.turn.then(() => this.claim(max, queues, AbortSignal.any([signal, this.ending.signal])));
    this.turn = coming
      .catch(() => undefined)
      .then(() => {
        this.receiving -= 1;
        this.lastAskedAt = performance.now();
        if (this.receiving === 0) this.watchSurplus();
      });
    const deliveries = await unlessAborted(coming, signal, ABORT_GRACE_MS);
    if (deliveries === undefined) coming.then((late) => this.releaseAll(late)).catch(() => undefined);
    return deliveries ?? [];
  }

  settle(settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    if (this.receiving === 0) this.watchSurplus();
    return this.settler.settle(settlements);
  }

  /** A lease lives as long as its channel: there is nothing to prolong, only to ask whether that stands. */
  async extend(deliveries: readonly Delivery[]): Promise<readonly ExtendOutcome[]> {
    this.followDelays();
    await this.session?.proven(PROOF_MS);
    return deliveries.map((delivery) => (this.held.find(delivery) === undefined ? 'lost' : 'extended'));
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  private async claim(max: number, queues: readonly string[], signal: AbortSignal): Promise<readonly Delivery[]> {
    const deadline = performance.now() + LONGEST_WAIT_MS;
    const { gate } = this.options;
    const wanted = [...new Set(queues)];
    // Ended as when a queue is paused: what is subscribed to, or has come already, may be what is not wanted now.
    if (wanted.length !== this.queues.length || !wanted.every((queue) => this.queues.includes(queue))) {
      this.gateTurned = true;
    }
    this.queues = wanted;
    gate.lookAgain(this.queues);
    this.followDelays();
    while (!signal.aborted) {
      const session = await this.live();
      if (this.gateTurned) await this.obey(session);
      const [only, ...others] = this.open.filter((queue) => !gate.isPaused(queue));
      if (only === undefined) await this.listen(session, { max, signal, deadline }, LONGEST_WAIT_MS);
      else if (others.length === 0) await this.waitForOne(session, only, { max, signal, deadline });
      else await this.waitForMany(session, [only, ...others], { max, signal, deadline });
      if (session.waiting > 0) await session.proven(PROOF_MS);
      // What arrived in the same moment may be of a queue that is paused now.
      const deliveries = this.gateTurned ? [] : this.handOut(session, max);
      if (deliveries.length > 0) return deliveries;
      if (performance.now() >= deadline) return [];
    }
    return [];
  }

  private async waitForOne(session: AmqpSession, queue: string, request: Request): Promise<void> {
    const { max } = request;
    if (session.credit + session.waiting > 2 * max + FEW) {
      await session.unsubscribe();
      await this.returnSurplus(session.takeBeyond(max), session);
    }
    if (!session.isSubscribed && session.waiting === 0) {
      if (!(await this.isThere(queue))) return;
      await session.subscribe(queue, max);
    }
    if (session.waiting > 0) return;
    // What just ended is acknowledged in a moment, which makes the room that is asked for.
    if (session.credit === 0) await this.listen(session, request, ACKNOWLEDGED_MS);
    if (session.credit === 0 && session.waiting === 0 && session.alive) await session.subscribe(queue, max);
    await this.listen(session, request, LONGEST_WAIT_MS);
    if (request.signal.aborted) await session.unsubscribe();
  }

  private async waitForMany(session: AmqpSession, queues: readonly string[], request: Request): Promise<void> {
    if (session.waiting === 0 && !(await this.ask(session, queues, request.max))) return;
    if (session.waiting > 0) return;
    try {
      for (const queue of queues) {
        await session.subscribe(queue, 1);
        if (session.waiting > 0) break;
      }
      await this.listen(session, request, LONGEST_WAIT_MS);
    } finally {
      await session.unsubscribe();
    }
  }

  /** Until something has arrived, or nothing can. */
  private async listen(session: AmqpSession, { signal, deadline }: Request, ms: number): Promise<void> {
    const until = Math.min(deadline, performance.now() + ms);
    const left = (): number => until - performance.now();
    this.interrupted = false;
    const isUndisturbed = (): boolean => session.alive && !this.interrupted && !this.gateTurned && !signal.aborted;
    while (session.waiting === 0 && isUndisturbed() && left() > 0) {
      await this.bell.wait(systemClock, left(), signal);
    }
  }

  /** Asks each queue in turn. False when one of them is gone. */
  private async ask(session: AmqpSession, queues: readonly string[], max: number): Promise<boolean> {
    const { oneByOne, topology } = this.options;
    const room = (): number => max - session.waiting;
    for (const queue of queues) {
      if (room() <= 0 || !session.alive) return true;
      const count = await topology.count(queue);
      if (count === undefined) return false;
      if (Math.min(count, room()) > FEW && !oneByOne) await session.getMany(queue, room());
      else for (let left = count; left > 0 && room() > 0 && (await session.getOne(queue)); left -= 1);
    }
    return true;
  }

  /** Asked on another channel: whoever consumes a queue that was deleted loses the channel, and what it holds of others. */
  private async isThere(queue: string): Promise<boolean> {
    return (await this.options.topology.count(queue)) !== undefined;
  }

  private handOut(session: AmqpSession, max: number): readonly Delivery[] {
    if (!session.alive) return [];
    const deliveries: Delivery[] = [];
    const arrivals = session.take();
    for (const [index, arrival] of arrivals.entries()) {
      if (deliveries.length >= max) {
        session.keep(arrivals.slice(index));
        break;
      }
      const delivery = this.sorter.sort(session, arrival);
      if (delivery !== undefined) deliveries.push(delivery);
    }
    return deliveries;
  }

  /** The session, made anew where it was lost; its queues are declared, and it is known which of them are paused. */
  private async live(): Promise<AmqpSession> {
    const { topology, connection, gate } = this.options;
    const isKnown = (queue: string): boolean => topology.has(queue) && gate.knows(queue);
    if (this.session?.alive === true && this.open.every(isKnown)) return this.session;
    await this.refused.ensure(this.queues);
    await Promise.all(this.open.filter((queue) => !gate.knows(queue)).map((queue) => gate.look(queue)));
    if (this.session?.alive === true) return this.session;
    const channel = await connection.createChannel();
    // It may be a new connection.
    this.followDelays();
    const session: AmqpSession = new AmqpSession(channel, {
      onLost: (reason, arrivals) => this.lost(session, reason, arrivals),
      onArrival: () => {
        this.bell.ring();
        if (this.receiving === 0) this.watchSurplus();
      },
      onQueueGone: (queue) => {
        topology.forget(queue);
        if (connection.serverIs(4, 3)) void this.takenBack(session, queue).catch(() => undefined);
        this.interrupted = true;
        this.bell.ring();
      },
    });
    this.session = session;
    return session;
  }

  private get open(): readonly string[] {
    return this.queues.filter((queue) => !this.refused.has(queue));
  }

  /** What others delay for its queues has to come to them, also on a new connection. Nothing here waits for it. */
  private followDelays(): void {
    const { delays } = this.options;
    for (const queue of this.queues) if (!delays.follows(queue)) delays.follow(queue).catch(() => undefined);
  }

  /** A queue was paused or resumed: nothing comes by itself any more, and what came is given back. */
  private async obey(session: AmqpSession): Promise<void> {
    this.gateTurned = false;
    await session.unsubscribe();
    await this.returnSurplus(session.take(), session);
  }

  private turned(queue: string): void {
    if (!this.queues.includes(queue)) return;
    this.gateTurned = true;
    this.interrupted = true;
    this.bell.ring();
  }

  private lost(session: AmqpSession, reason: string, arrivals: readonly Arrival[]): void {
    if (this.session !== session) return;
    for (const arrival of arrivals) this.sorter.lost(arrival);
    this.session = undefined;
    this.held.lose();
    this.bell.ring();
    if (/delivery acknowledgement on channel .* timed out/.test(reason)) this.options.onConsumerTimeout(reason);
  }

  /**
   * Since 4.3 a quorum queue takes back what was not acknowledged within the consumer timeout, and ends the subscription
   * instead of the channel: acknowledgements that come later are ignored, so what is held here must not be settled.
   */
  private async takenBack(session: AmqpSession, queue: string): Promise<void> {
    if (!this.held.all.some(({ delivery }) => delivery.queue === queue)) return;
    // Asked before anybody here declares it again: a queue that was deleted has taken back nothing.
    if ((await this.options.topology.count(queue)) === undefined || this.session !== session) return;
    this.lost(session, '', session.take());
    this.options.onConsumerTimeout(`it ended the subscription to ${queue}`);
    await session.close();
  }

  /** Looks, a while after somebody asked last, whether more is here or may come than anybody wants. */
  private watchSurplus(): void {
    if (this.surplus !== undefined || this.closing !== undefined) return;
    this.surplus = setTimeout(() => {
      this.surplus = undefined;
      const { session } = this;
      if (session === undefined || this.receiving > 0) return;
      if (performance.now() - this.lastAskedAt < SURPLUS_MS) this.watchSurplus();
      else if (session.waiting > 0 || session.credit > 0) this.turn = this.turn.then(() => this.retire(session));
    }, SURPLUS_MS);
  }

  private async retire(session: AmqpSession): Promise<void> {
    await session.unsubscribe().catch(() => undefined);
    if (this.receiving === 0) await this.returnSurplus(session.take(), session);
  }

  private async returnSurplus(arrivals: readonly Arrival[], session: AmqpSession): Promise<void> {
    await Promise.all(arrivals.map((arrival) => this.sorter.giveBack(session, arrival)));
  }

  private async releaseAll(deliveries: readonly Delivery[]): Promise<void> {
    if (deliveries.length > 0) await this.settle(deliveries.map((delivery) => ({ kind: 'release', delivery })));
  }

  private async shut(): Promise<void> {
    clearTimeout(this.surplus);
    this.unlisten();
    this.ending.abort();
    this.bell.ring();
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => (timer = setTimeout(resolve, LONGEST_CLOSE_MS)));
    await Promise.race([this.leaveQuietly().catch(() => undefined), tooLong]);
    clearTimeout(timer);
    this.held.lose();
    this.options.onClosed(this);
  }

  private async leaveQuietly(): Promise<void> {
    await this.turn;
    const { session } = this;
    if (session === undefined) return;
    await session.unsubscribe();
    // What was put aside comes with the rest.
    while (session.alive && session.waiting > 0) await this.returnSurplus(session.take(), session);
    await this.settler.releaseSuspects();
    this.held.lose();
    await session.close();
  }
}

interface Request {
  readonly max: number;
  readonly signal: AbortSignal;
  /** Monotonic. */
  readonly deadline: number;
}
