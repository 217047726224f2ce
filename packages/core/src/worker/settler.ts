import type { Clock } from '../ambient/clock.js';
import type { Logger } from '../ambient/logger.js';
import type { Deferred } from '../async/deferred.js';
import { deferred } from '../async/deferred.js';
import type { Broker, Consumer, PublishOutcome } from '../ports/broker.js';
import type { SettleOutcome, Settlement } from '../ports/delivery.js';
import type { ResultBackend } from '../ports/result-backend.js';

export interface SettlerOptions {
  readonly consumer: Consumer;
  readonly broker: Broker;
  readonly results: ResultBackend | undefined;
  /** Results and settlement are one step of one store. */
  readonly atomic: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A settlement is tried again until this long after it was asked for; then the lease is over anyway. */
  readonly leaseMs: number;
}

interface Pending {
  readonly settlement: Settlement;
  readonly outcome: Deferred<SettleOutcome>;
  readonly deadline: number;
}

/** Calls to the store at once: one is on its way while the next fills. */
const CALLS_IN_FLIGHT = 2;

/**
 * Gathers settlements into batches and tries them again until the lease ends. Where the store cannot take everything
 * in one step the order is results, follow-ups, settlement: each is repeatable by id, so a crash in between repeats
 * and never loses.
 */
export class Settler {
  private pending: Pending[] = [];
  private calls = 0;
  private scheduled = false;
  private idle: Deferred<void> | undefined;

  constructor(private readonly options: SettlerOptions) {}

  /** Resolves when the store has answered; `lost` also when it could not be reached until the lease was over. */
  settle(settlement: Settlement): Promise<SettleOutcome> {
    const outcome = deferred<SettleOutcome>();
    const deadline = this.options.clock.monotonic() + this.options.leaseMs;
    this.pending.push({ settlement, outcome, deadline });
    this.schedule();
    return outcome.promise;
  }

  /**
   * For a message that was acknowledged before its run: only what rides with the settlement is applied. A replacement
   * is published anew. Tried once: this is the at-most-once mode.
   */
  async complete(settlement: Settlement): Promise<void> {
    const { results, broker } = this.options;
    const effects = 'effects' in settlement ? settlement.effects : undefined;
    const publish = [...(effects?.publish ?? []), ...(settlement.kind === 'replace' ? [settlement.message] : [])];
    if (effects?.results !== undefined && effects.results.length > 0) await results?.put(effects.results);
    if (publish.length > 0) assertPublished(await broker.publish(publish));
  }

  /** Resolves when nothing is under way. */
  async drain(): Promise<void> {
    while (this.pending.length > 0 || this.calls > 0) {
      this.idle ??= deferred();
      await this.idle.promise;
    }
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
    try {
      const outcomes = await this.apply(batch.map((one) => one.settlement));
      batch.forEach((one, index) => one.outcome.resolve(outcomes[index] ?? 'lost'));
    } catch (error) {
      await this.tryAgain(batch, error);
    } finally {
      this.calls -= 1;
      if (this.pending.length > 0) this.schedule();
      else if (this.calls === 0) this.announceIdle();
    }
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
    const { clock, logger } = this.options;
    const now = clock.monotonic();
    const late = batch.filter((one) => one.deadline <= now);
    const alive = batch.filter((one) => one.deadline > now);
    for (const one of late) one.outcome.resolve('lost');
    logger.warn(
      `Settling ${batch.length} message(s) failed: ${String(error)}. ${alive.length} are tried again, ${late.length} are given up to their lease.`,
      'Settler',
    );
    if (alive.length === 0) return;
    // Keep the call counted, so that a store that is down is not hammered.
    await clock.sleep(200);
    this.pending = [...alive, ...this.pending];
  }

  private announceIdle(): void {
    this.idle?.resolve();
    this.idle = undefined;
  }
}

function assertPublished(outcomes: readonly PublishOutcome[]): void {
  for (const outcome of outcomes) if ('error' in outcome) throw outcome.error;
}

function withoutEffects(settlement: Settlement): Settlement {
  if (!('effects' in settlement)) return settlement;
  const { effects: _effects, ...rest } = settlement;
  return rest;
}
