import type { Clock, ClockTimer } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import { isTaskQueueError } from '../errors/errors.js';
import type { LogicalClock } from '../message/logical-clock.js';
import type { Publication } from '../ports/channel.js';
import type { PubSub } from '../ports/pub-sub.js';
import type { ClusterEventPayloads, ClusterEventType } from './cluster-event.js';
import type { WrittenEvent } from './event-message.js';
import { listOfEvents, singleEvent, writeEvent } from './event-message.js';

/** What a dispatcher tells with. */
export interface EventDispatcherOptions {
  readonly pubsub: PubSub;
  /** Who tells: `name@host` of a worker, `gen<pid>@<host>` of a client. */
  readonly hostname: string;
  readonly clock: Clock;
  readonly logicalClock: LogicalClock;
  readonly logger: Logger;
  /** Events that wait to be said, at most. Default 10 000. */
  readonly capacity?: number;
}

const CAPACITY = 10_000;
/** Events in one message, at most; Celery's workers stop there, too. */
const LIST = 24;
/** JSON in one message, about: every store carries 512 KiB. */
const LIST_LENGTH = 150_000;
/** Messages in one publication, at most. */
const PUBLICATIONS = 50;
/** How long the first event waits for others. */
const GATHER_MS = 20;
const COMPLAIN_EVERY_MS = 60_000;
const MUTE_MS = 60_000;

/**
 * Tells events over the broker, and stands in nobody's way: to emit one is to put it into a list, which is said soon after.
 * One publication is under way at a time, so a slow broker gets larger ones.
 *
 * ```text
 *   emit ──► waiting ──20 ms, or 24 of them──► said (one publication under way) ──► more waiting? at once
 *     │ 10 000 wait already                      │ refused
 *     └──────────► lost, and counted ◄───────────┘  where the user may not tell: nothing for a minute
 * ```
 */
export class EventDispatcher {
  private waiting: WrittenEvent[] = [];
  private saying: Promise<void> | undefined;
  private timer: ClockTimer | undefined;
  private lostCount = 0;
  /** Until then nothing is tried: the user may not. */
  private mutedUntil = 0;
  private complainedAt: number | undefined;
  private closed = false;

  constructor(private readonly options: EventDispatcherOptions) {}

  /** Events that nobody can have heard: the broker did not take them, or too many waited for it. */
  get lost(): number {
    return this.lostCount;
  }

  /** Never throws, never waits. Nothing is told after `close`. */
  emit<T extends ClusterEventType>(type: T, payload: ClusterEventPayloads[T]): void {
    if (this.closed) return;
    const { hostname, clock, logicalClock, capacity = CAPACITY } = this.options;
    if (this.mutedUntil > 0 && this.mutedUntil > clock.monotonic()) {
      this.lostCount += 1;
      return;
    }
    if (this.waiting.length >= capacity) {
      this.lose(1, `${capacity} wait for the broker already`);
      return;
    }
    const at = clock.now();
    const stamp = { hostname, at, pid: process.pid, clock: logicalClock.forward(), utcoffset: utcoffset(at) };
    this.waiting.push(writeEvent(type, payload, stamp));
    if (this.saying !== undefined) return;
    if (this.waiting.length >= LIST) this.say();
    else this.timer ??= clock.timer(GATHER_MS, () => this.say(), { unref: true });
  }

  /** Resolves when all that was emitted was said or lost. */
  async flush(): Promise<void> {
    for (;;) {
      if (this.saying === undefined) this.say();
      if (this.saying === undefined) return;
      await this.saying;
    }
  }

  /** Says what still waits. Resolves as `flush`. */
  async close(): Promise<void> {
    this.closed = true;
    await this.flush();
  }

  private say(): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.waiting.length === 0) return;
    const { publications, count } = gathered(this.options.hostname, this.waiting);
    this.waiting = this.waiting.slice(count);
    this.saying = this.publish(publications, count).then(() => {
      this.saying = undefined;
      this.say();
    });
  }

  private async publish(publications: readonly Publication[], count: number): Promise<void> {
    try {
      await this.options.pubsub.publish(publications);
    } catch (error) {
      if (isTaskQueueError(error, 'CAPABILITY_UNSUPPORTED')) this.mute();
      this.lose(count, error instanceof Error ? error.message : String(error));
    }
  }

  /** A server logs each refusal, too: it should not have to do so every two seconds. */
  private mute(): void {
    this.mutedUntil = this.options.clock.monotonic() + MUTE_MS;
  }

  /** It is said once a minute, not for each: a broker that is away loses many. */
  private lose(count: number, why: string): void {
    this.lostCount += count;
    const now = this.options.clock.monotonic();
    if (this.complainedAt !== undefined && now - this.complainedAt < COMPLAIN_EVERY_MS) return;
    this.complainedAt = now;
    this.options.logger.warn(`Events are lost, ${this.lostCount} so far: ${why}`, 'EventDispatcher');
  }
}

/** The first of the events as messages, in order, and how many these are. */
function gathered(hostname: string, events: readonly WrittenEvent[]) {
  const publications: Publication[] = [];
  let count = 0;
  while (count < events.length && publications.length < PUBLICATIONS) {
    const end = Math.max(endOfList(events, count), count + 1);
    const first = events[count] as WrittenEvent;
    // Celery's clients say theirs one by one.
    const single = !isListed(first) || (end === count + 1 && first.type === 'task-sent');
    publications.push(single ? singleEvent(hostname, first) : listOfEvents(hostname, events.slice(count, end)));
    count = end;
  }
  return { publications, count };
}

function isListed({ type }: WrittenEvent): boolean {
  return type.startsWith('task-');
}

function endOfList(events: readonly WrittenEvent[], from: number): number {
  let end = from;
  let length = 0;
  while (end < events.length && end - from < LIST) {
    const event = events[end] as WrittenEvent;
    length += event.json.length;
    if (!isListed(event) || (end > from && length > LIST_LENGTH)) break;
    end += 1;
  }
  return end;
}

/** Whole hours, positive in the west, as Celery counts them. */
function utcoffset(at: number): number {
  return Math.floor(new Date(at).getTimezoneOffset() / 60);
}
