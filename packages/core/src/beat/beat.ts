import type { Tracing } from '../ports/tracing.js';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Repeat } from '../async/repeat.js';
import { repeat } from '../async/repeat.js';
import type { PublishEvents } from '../events/publish-events.js';
import type { MessageBuilder } from '../client/message-builder.js';
import { messageBuilder } from '../client/message-builder.js';
import { mayPass } from '../client/publish-outcome.js';
import { toMilliseconds } from '../config/duration.js';
import type { TaskQueueSettings } from '../config/settings.js';
import { isTaskQueueError, UsageError } from '../errors/errors.js';
import type { OutgoingMessage } from '../ports/broker.js';
import { keptResults } from '../ports/result-backend.js';
import type { ScheduleStep, ScheduleStore, StoredEntry } from '../ports/schedule-store.js';
import type { Stores } from '../ports/stores.js';
import { planEntry } from '../schedule/due.js';
import type { ScheduleEntry } from '../schedule/schedule-entry.js';
import { scheduleFingerprint } from '../schedule/schedule-factory.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { occurrenceCall } from './occurrence-call.js';
import { Overlap } from './overlap.js';

/** What a beat works with. */
export interface BeatOptions {
  readonly stores: Stores;
  readonly registry: TaskRegistry;
  readonly settings: TaskQueueSettings;
  /** What code declares; synced into the store at start. */
  readonly declared: readonly ScheduleEntry[];
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  /** Is told what becomes of it. Must not throw. */
  readonly onEvent?: (event: BeatEvent) => void;
  readonly tracing?: Tracing | undefined;
  /** Are told of what is sent. */
  readonly published?: PublishEvents;
  /** Called for each entry when its next instant is known; the Nest package shows these as timers. */
  readonly onPlanned?: (plan: { readonly name: string; readonly dueAt: number | undefined }) => void;
}

/** What a beat tells in its own process. */
export interface BeatEvent {
  /** Nothing is done yet; it watches the schedules; it has stopped. */
  readonly type: 'beat-starting' | 'beat-online' | 'beat-offline';
  readonly beat: string;
}

/** How a beat stands. */
export interface BeatStatus {
  readonly name: string;
  readonly state: 'new' | 'running' | 'stopped';
  readonly entries: number;
  readonly sent: number;
  /** Milliseconds since the store last answered; undefined before the first answer. */
  readonly lastPollMsAgo: number | undefined;
}

/** A claim on an occurrence, where firing is not one step, lives this long; who died with it delays others by as much. */
const CLAIM_TTL_MS = 10_000;
/** A one-off entry whose last run has not ended is looked at again after this. */
const BUSY_ONE_OFF_MS = 1_000;
/** Entries are read anew this often although the version did not change. */
const FULL_READ_EVERY_MS = 60_000;

/**
 * Sends what falls due. Any number of beats may run on one store: an occurrence is (entry, due instant), its task has
 * an id derived from both, and moving the entry on is a compare-and-set.
 *
 * ```text
 *   poll ──version changed──► read entries
 *    │                            │
 *    ▼                            ▼
 *   for each entry: plan ──► compute (first due instant, or after an edit) ──► advance
 *                       ├──► fire: one step store:   advance + publish together
 *                       │          two-step store:   claim ─► publish what has no record ─► advance
 *                       └──► wait
 *   sleep until the earliest due instant, at most the poll interval; time is the store's
 * ```
 *
 * A beat that dies between publish and advance is followed, when its claim has ended, by one that finds the tasks'
 * results, or publishes the same ids again and is told `duplicate`.
 */
export class Beat {
  readonly name = `beat@${hostname()}#${process.pid}`;
  /** Whose claims are ours; a process may have several beats. */
  private readonly owner = `${this.name}:${randomUUID()}`;
  private readonly store: ScheduleStore;
  private readonly builder: MessageBuilder;
  private entries: StoredEntry[] = [];
  private version: string | undefined;
  private readAt = -Infinity;
  private lastPollAt: number | undefined;
  private loop: Repeat | undefined;
  private state: BeatStatus['state'] = 'new';
  private sent = 0;
  /** Entry → what it failed with. */
  private readonly failing = new Map<string, string>();
  private readonly overlap: Overlap;

  constructor(private readonly options: BeatOptions) {
    const { stores, settings, clock } = options;
    if (stores.schedules === undefined) {
      throw new UsageError({
        code: 'DRIVER_MISSING',
        message: 'Beat needs a driver that keeps schedules, and none was given.',
        remedy: 'Choose one for `schedules`, e.g. the SQL driver.',
      });
    }
    this.store = stores.schedules;
    const resultExpiresMs = toMilliseconds(settings.resultExpires, 'resultExpires');
    this.overlap = new Overlap({ ...options, resultExpiresMs });
    this.builder = messageBuilder({
      settings,
      clock,
      origin: this.name,
      broker: options.stores.broker,
      events: options.published,
      tracing: options.tracing,
    });
  }

  /** Syncs the declared entries and begins. Rejects when the store cannot be reached. */
  async start(): Promise<void> {
    if (this.state !== 'new') return;
    this.state = 'running';
    this.tell('beat-starting');
    await this.store.syncDeclared(this.options.declared);
    const pollMs = toMilliseconds(this.options.settings.beat.poll, 'beat.poll');
    this.loop = repeat({
      clock: this.options.clock,
      step: () => this.tick(pollMs),
      onError: (error) =>
        this.options.logger.error(`Beat cannot go on, and tries again: ${String(error)}`, stackOf(error), 'Beat'),
    });
    this.tell('beat-online');
  }

  /** Looks at the schedules now. */
  wake(): void {
    this.loop?.wake();
  }

  async stop(): Promise<void> {
    const { state } = this;
    this.state = 'stopped';
    await this.loop?.stop();
    if (state === 'running') this.tell('beat-offline');
  }

  private tell(type: BeatEvent['type']): void {
    this.options.onEvent?.({ type, beat: this.name });
  }

  status(): BeatStatus {
    return {
      name: this.name,
      state: this.state,
      entries: this.entries.length,
      sent: this.sent,
      lastPollMsAgo: this.lastPollAt === undefined ? undefined : this.options.clock.monotonic() - this.lastPollAt,
    };
  }

  private async tick(pollMs: number): Promise<number> {
    const { now, version } = await this.store.poll();
    const monotonic = this.options.clock.monotonic();
    this.lastPollAt = monotonic;
    if (version !== this.version || monotonic - this.readAt > FULL_READ_EVERY_MS) {
      await this.read();
      this.version = version;
      this.readAt = monotonic;
    }
    let sleepMs = pollMs;
    for (const [index, entry] of this.entries.entries()) {
      const dueIn = await this.lookAt(entry, index, now).catch((error: unknown) => {
        this.tellFailing(entry, error);
        return pollMs;
      });
      sleepMs = Math.min(sleepMs, dueIn);
    }
    return Math.max(0, sleepMs);
  }

  private async read(): Promise<void> {
    const entries = await this.store.list();
    const names = new Set(entries.map((entry) => entry.name));
    for (const { name } of this.entries) {
      if (names.has(name)) continue;
      this.failing.delete(name);
      this.options.onPlanned?.({ name, dueAt: undefined });
    }
    this.entries = [...entries];
  }

  private async lookAt(entry: StoredEntry, index: number, now: number): Promise<number> {
    const dueIn = await this.look(entry, index, now);
    this.failing.delete(entry.name);
    return dueIn;
  }

  /** It is tried again at every look, and told once, until it fails in another way. */
  private tellFailing(entry: StoredEntry, error: unknown): void {
    const text = String(error);
    if (this.failing.get(entry.name) === text) return;
    this.failing.set(entry.name, text);
    this.options.logger.error(`Schedule "${entry.name}" failed: ${text}`, stackOf(error), 'Beat');
  }

  /** Does what one entry needs now; answers in how many milliseconds it needs something again. */
  private async look(entry: StoredEntry, index: number, now: number): Promise<number> {
    const plan = planEntry({ entry, now });
    switch (plan.action) {
      case 'none':
        return Infinity;
      case 'wait':
        this.options.onPlanned?.({ name: entry.name, dueAt: plan.until });
        return plan.until - now;
      case 'compute':
        await this.move(entry, index, { nextDueAt: plan.nextDueAt, now });
        return plan.nextDueAt === undefined ? Infinity : plan.nextDueAt - now;
      case 'disable':
        await this.move(entry, index, { nextDueAt: undefined, now, disable: true });
        return Infinity;
      case 'fire':
        return this.fire(entry, index, plan, now);
    }
  }

  private async fire(
    entry: StoredEntry,
    index: number,
    plan: Extract<ReturnType<typeof planEntry>, { action: 'fire' }>,
    now: number,
  ): Promise<number> {
    const busy = await this.overlap.isBusy(entry);
    // A one-off that finds its predecessor running is not spent: it waits for it.
    if (busy && plan.disable) return BUSY_ONE_OFF_MS;
    const occurrences = busy ? [] : this.overlap.sideBySide(entry, plan.occurrences);
    const messages = this.messages(entry, occurrences, now);
    const skipped = plan.skipped + plan.occurrences.length - occurrences.length;
    if (skipped > 0) {
      const late = occurrences.length < plan.occurrences.length ? `overlap: 'skip'` : `misfire: '${entry.misfire}'`;
      const why = busy ? 'the last run has not ended' : `beat was late, and the entry has ${late}`;
      this.options.logger.warn(`Schedule "${entry.name}": ${skipped} occurrence(s) skipped, ${why}.`, 'Beat');
    }
    await this.overlap.note(entry, messages);
    const step = { nextDueAt: plan.nextDueAt, now, disable: plan.disable, messages };
    const { published, stores } = this.options;
    const sent = stores.atomicFire
      ? await this.fireInOneStep(entry, index, step)
      : await this.fireInSteps(entry, index, step);
    published?.published(sent);
    if (sent.length > 0) {
      this.sent += sent.length;
      const ids = sent.map((one) => one.id).join(', ');
      this.options.logger.log(`Schedule "${entry.name}" sent ${entry.task} (${ids})`, 'Beat');
    }
    return plan.nextDueAt === undefined ? Infinity : plan.nextDueAt - now;
  }

  /** Answers what was sent: nothing when another beat was first. */
  private async fireInOneStep(entry: StoredEntry, index: number, step: Step): Promise<readonly OutgoingMessage[]> {
    const { messages = [] } = step;
    this.options.published?.publishing(messages);
    try {
      return (await this.move(entry, index, step)) ? messages : [];
    } catch (error) {
      if (!isTaskQueueError(error) || error.retryable || messages.length === 0) throw error;
      this.tellUnsendable(entry, error);
      await this.move(entry, index, { ...step, messages: [] });
      return [];
    }
  }

  private async fireInSteps(entry: StoredEntry, index: number, step: Step): Promise<readonly OutgoingMessage[]> {
    if (entry.dueAt === undefined) return [];
    const claim = { name: entry.name, dueAt: entry.dueAt, owner: this.owner, ttlMs: CLAIM_TTL_MS };
    if (!(await this.store.claim(claim))) {
      this.version = undefined;
      return [];
    }
    const { messages = [] } = step;
    const refused = new Set<OutgoingMessage>();
    const unsent = await this.withoutRecord(messages);
    this.options.published?.publishing(unsent);
    const outcomes = unsent.length === 0 ? [] : await this.options.stores.broker.publish(unsent);
    outcomes.forEach((outcome, at) => {
      if (!('error' in outcome)) return;
      if (mayPass(outcome)) throw outcome.error;
      this.tellUnsendable(entry, outcome.error);
      refused.add(unsent[at] as OutgoingMessage);
    });
    const sent = messages.filter((message) => !refused.has(message));
    return (await this.move(entry, index, { ...step, messages: [], sent })) ? sent : [];
  }

  /** What a beat has sent that died before it could say so may have run already; then the broker knows nothing of it. */
  private async withoutRecord(messages: readonly OutgoingMessage[]): Promise<readonly OutgoingMessage[]> {
    const results = keptResults(this.options.stores.results);
    if (results === undefined || messages.length === 0) return messages;
    const records = await results.get(messages.map((message) => message.id));
    return messages.filter((_message, at) => (records[at]?.state ?? 'PENDING') === 'PENDING');
  }

  private async move(entry: StoredEntry, index: number, step: Step): Promise<boolean> {
    const messages = step.messages ?? [];
    const sent = step.sent ?? messages;
    const last = sent.at(-1);
    const change: ScheduleStep = {
      name: entry.name,
      dueAt: entry.dueAt,
      nextDueAt: step.nextDueAt,
      fingerprint: scheduleFingerprint(entry.schedule, entry.startTime),
      ...(step.disable === true ? { disable: true } : {}),
      ...(last === undefined ? {} : { firedAt: step.now, fired: sent.length, lastTaskId: last.id }),
      ...(messages.length === 0 ? {} : { publish: messages }),
    };
    const moved = await this.store.advance(change);
    if (moved) {
      this.entries[index] = {
        ...entry,
        dueAt: step.nextDueAt,
        dueFingerprint: change.fingerprint,
        enabled: step.disable === true ? false : entry.enabled,
        lastTaskId: last?.id ?? entry.lastTaskId,
      };
      this.options.onPlanned?.({ name: entry.name, dueAt: step.nextDueAt });
    } else {
      // Another beat was first, or someone edited the entry: see how it stands.
      this.version = undefined;
    }
    return moved;
  }

  /**
   * An entry that can never be sent costs its occurrence, not beat's peace: it is logged, and moves on. The store may
   * still refuse what could be built; that is the same.
   */
  private messages(entry: StoredEntry, occurrences: readonly number[], now: number): OutgoingMessage[] {
    try {
      const definition = this.options.registry.find(entry.task)?.definition;
      const { random } = this.options;
      return occurrences.map((dueAt) => this.builder.build(occurrenceCall(entry, { dueAt, now, random }), definition));
    } catch (error) {
      if (!isTaskQueueError(error)) throw error;
      this.tellUnsendable(entry, error);
      return [];
    }
  }

  private tellUnsendable(entry: StoredEntry, error: Error): void {
    this.options.logger.error(`Schedule "${entry.name}" cannot be sent: ${error.message}`, undefined, 'Beat');
  }
}

interface Step {
  readonly nextDueAt: number | undefined;
  readonly now: number;
  readonly disable?: boolean;
  /** Published with the advance. */
  readonly messages?: readonly OutgoingMessage[];
  /** Published before it. */
  readonly sent?: readonly OutgoingMessage[];
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
