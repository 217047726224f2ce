import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Deferred } from '../async/deferred.js';
import { deferred } from '../async/deferred.js';
import { isTaskQueueError } from '../errors/errors.js';
import type { PublishEvents } from '../events/publish-events.js';
import type { Broker, Consumer, PublishOutcome } from '../ports/broker.js';
import type { ChordNews } from '../ports/chord-store.js';
import type { SettlementEffects, SettleOutcome, Settlement } from '../ports/delivery.js';
import type { ResultBackend } from '../ports/result-backend.js';
import type { Chords, ChordsHeard } from './chords.js';
import { followersOf } from './followers.js';

export interface SettlerOptions {
  readonly consumer: Consumer;
  readonly broker: Broker;
  readonly results: ResultBackend | undefined;
  /** Absent where nobody counts chords; what settlements say of them is then left out. */
  readonly chords?: Chords | undefined;
  /** Results and settlement are one step of one store. */
  readonly atomic: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the store refuses, although it is there, is given up this long after the first refusal. */
  readonly leaseMs: number;
  /** Is told of followers, and of the bodies of chords. */
  readonly published?: PublishEvents | undefined;
}

type Answered = (outcome: SettleOutcome, settlement: Settlement) => void;

interface Pending {
  readonly settlement: Settlement;
  readonly answered: Answered;
  /** Of the first refusal. */
  deadline?: number;
}

/** Calls to the store at once: one is on its way while the next fills. */
const CALLS_IN_FLIGHT = 2;
/** Between two tries, while the store is away. */
const LONGEST_PAUSE_MS = 1_000;
/** Of the failures after the first few, so many are one line in the log. */
const TELL_EVERY = 20;

/**
 * Gathers settlements into batches. Where the store cannot take everything in one step the order is results,
 * follow-ups, settlement: each is repeatable by id, so a crash in between repeats and never loses.
 *
 * While the store is away they are tried again, however long that takes: it may come back after the lease and find it
 * standing, because whoever renews one lease renews all of its consumer, and a message that is neither settled nor
 * taken over would stay with this worker. What was taken over meanwhile is answered `lost`.
 */
export class Settler {
  private pending: Pending[] = [];
  private calls = 0;
  /** Settlements whose chords are being told. */
  private hearing = 0;
  private scheduled = false;
  private idle: Deferred<void> | undefined;
  private closed = false;
  /** In a row. */
  private failures = 0;

  constructor(private readonly options: SettlerOptions) {}

  /** Resolves when the store has answered; `lost` also when it was given up. */
  settle(settlement: Settlement): Promise<SettleOutcome> {
    return new Promise((resolve) => this.end(settlement, resolve));
  }

  /** The same without a promise, which every task would pay for, and with all that it keeps alive until the answer. */
  end(settlement: Settlement, answered: Answered): void {
    if (hasChords(settlement)) {
      void this.settleAfterChords(settlement).then((outcome) => answered(outcome, settlement));
      return;
    }
    this.options.published?.publishing(followersOf(settlement));
    this.pending.push({ settlement, answered });
    this.schedule();
  }

  /**
   * For a message that was acknowledged before its run: only what rides with the settlement is applied. A replacement
   * is published anew. Tried once: this is the at-most-once mode.
   */
  async complete(settlement: Settlement): Promise<void> {
    const { results, broker, published } = this.options;
    const heard = hasChords(settlement) ? await this.hearChords(settlement) : undefined;
    const effects = heard?.effects ?? ('effects' in settlement ? settlement.effects : undefined);
    const publish = [...(effects?.publish ?? []), ...(settlement.kind === 'replace' ? [settlement.message] : [])];
    if (effects?.results !== undefined && effects.results.length > 0) await results?.put(effects.results);
    if (publish.length > 0) {
      published?.publishing(publish);
      assertPublished(await broker.publish(publish));
      published?.published(publish);
    }
    if (heard !== undefined) await this.options.chords?.discard(heard.completed);
  }

  /** Resolves when nothing is under way. */
  async drain(): Promise<void> {
    while (this.pending.length > 0 || this.calls > 0 || this.hearing > 0) {
      this.idle ??= deferred();
      await this.idle.promise;
    }
  }

  /** Gives up what the store has not answered, for a worker that ends. */
  close(): void {
    this.closed = true;
    for (const one of this.pending.splice(0)) one.answered('lost', one.settlement);
    if (this.calls === 0) this.announceIdle();
  }

  /** What a chord is told comes first, as its answer rides with the settlement. */
  private async settleAfterChords(settlement: WithChords): Promise<SettleOutcome> {
    const deadline = this.options.clock.monotonic() + this.options.leaseMs;
    this.hearing += 1;
    const heard = await this.hearUntil(settlement, deadline);
    this.hearing -= 1;
    if (heard === undefined) {
      this.announceIdle();
      return 'lost';
    }
    const outcome = await this.settle({ ...settlement, effects: heard.effects });
    if (outcome === 'settled') {
      await this.options.chords?.discard(heard.completed).catch((error: unknown) => {
        this.options.logger.debug(`A chord was not discarded and will expire: ${String(error)}`, 'Settler');
      });
    }
    return outcome;
  }

  /** Undefined when it was given up, to the lease. */
  private async hearUntil(settlement: WithChords, deadline: number): Promise<ChordsHeard | undefined> {
    const { clock, logger } = this.options;
    for (let attempt = 0; !this.closed; attempt += 1) {
      try {
        return await this.hearChords(settlement);
      } catch (error) {
        const away = isAway(error);
        if (attempt < 3) logger.warn(`A chord could not be told: ${String(error)}.`, 'Settler');
        if (!away && clock.monotonic() >= deadline) return undefined;
        await clock.sleep(Math.min(LONGEST_PAUSE_MS, 100 * 2 ** Math.min(attempt, 10)));
      }
    }
    return undefined;
  }

  private async hearChords({ effects }: WithChords): Promise<ChordsHeard> {
    const { chords } = this.options;
    if (chords !== undefined) return chords.hear(effects.chords, effects);
    const { chords: _news, ...rest } = effects;
    return { effects: rest, completed: [] };
  }

  private schedule(): void {
    if (this.scheduled || this.calls >= CALLS_IN_FLIGHT) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      if (this.pending.length > 0) void this.flush();
    });
  }

  private async flush(): Promise<void> {
    const batch = this.pending;
    this.pending = [];
    this.calls += 1;
    const settled = await this.applyOrTryAgain(batch);
    this.calls -= 1;
    if (this.pending.length > 0) this.schedule();
    else if (this.calls === 0) this.announceIdle();
    // Last of all, so that whoever is told can do no harm here.
    for (const [{ settlement, answered }, outcome] of settled) {
      if (outcome === 'settled') this.options.published?.published(followersOf(settlement));
      answered(outcome, settlement);
    }
  }

  private async applyOrTryAgain(batch: readonly Pending[]): Promise<readonly Settled[]> {
    try {
      const outcomes = await this.apply(batch.map((one) => one.settlement));
      this.failures = 0;
      return batch.map((one, index) => [one, outcomes[index] ?? 'lost']);
    } catch (error) {
      if (batch.length > 1 && !isAway(error)) return this.applyEach(batch);
      await this.tryAgain(batch, error);
      return [];
    }
  }

  /** What a store that is there refuses is refused for the sake of one; the others need not wait for it. */
  private async applyEach(batch: readonly Pending[]): Promise<readonly Settled[]> {
    const settled: Settled[] = [];
    const refused: Pending[] = [];
    let reason: unknown;
    for (const one of batch) {
      try {
        const [outcome = 'lost'] = await this.apply([one.settlement]);
        settled.push([one, outcome]);
      } catch (error) {
        refused.push(one);
        reason = error;
      }
    }
    if (refused.length > 0) await this.tryAgain(refused, reason);
    return settled;
  }

  private async apply(settlements: readonly Settlement[]): Promise<readonly SettleOutcome[]> {
    const { consumer, broker, results, atomic } = this.options;
    if (atomic) return consumer.settle(settlements);
    const effects = settlements.map((one) => ('effects' in one ? one.effects : undefined));
    const records = effects.flatMap((one) => one?.results ?? []);
    const follow = effects.flatMap((one) => one?.publish ?? []);
    if (records.length > 0 && results !== undefined) await results.put(records);
    if (follow.length > 0) assertPublished(await broker.publish(follow));
    return consumer.settle(settlements.map(withoutEffects));
  }

  private async tryAgain(batch: readonly Pending[], error: unknown): Promise<void> {
    const { clock, logger, leaseMs } = this.options;
    this.failures += 1;
    const now = clock.monotonic();
    const away = isAway(error);
    for (const one of batch) one.deadline ??= now + leaseMs;
    const isGivenUp = (one: Pending): boolean => this.closed || (!away && (one.deadline ?? now) <= now);
    const late = batch.filter(isGivenUp);
    const again = batch.filter((one) => !isGivenUp(one));
    for (const one of late) one.answered('lost', one.settlement);
    if (late.length > 0 || this.failures <= 3 || this.failures % TELL_EVERY === 0) {
      logger.warn(
        `Settling ${batch.length} message(s) failed: ${String(error)}. ${again.length} are tried again, ${late.length} are given up to their lease.`,
        'Settler',
      );
    }
    if (again.length === 0) return;
    // The call stays counted, so that a store that is down is not hammered.
    await clock.sleep(Math.min(LONGEST_PAUSE_MS, 100 * 2 ** Math.min(this.failures, 10)));
    this.pending = [...again, ...this.pending];
    if (this.closed) this.close();
  }

  private announceIdle(): void {
    this.idle?.resolve();
    this.idle = undefined;
  }
}

type Settled = readonly [one: Pending, outcome: SettleOutcome];

function isAway(error: unknown): boolean {
  return isTaskQueueError(error) && error.retryable;
}

type WithChords = Extract<Settlement, { effects?: unknown }> & {
  readonly effects: SettlementEffects & { readonly chords: ChordNews };
};

function hasChords(settlement: Settlement): settlement is WithChords {
  return 'effects' in settlement && settlement.effects?.chords !== undefined;
}

function assertPublished(outcomes: readonly PublishOutcome[]): void {
  for (const outcome of outcomes) if ('error' in outcome) throw outcome.error;
}

function withoutEffects(settlement: Settlement): Settlement {
  if (!('effects' in settlement)) return settlement;
  const { effects: _effects, ...rest } = settlement;
  return rest;
}
