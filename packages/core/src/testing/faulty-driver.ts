import type { Clock } from '../ambient/clock.js';
import { systemClock } from '../ambient/clock.js';
import type { Duration } from '../config/duration.js';
import { toMilliseconds } from '../config/duration.js';
import { BrokerError } from '../errors/errors.js';
import type { Broker, Consumer } from '../ports/broker.js';
import type { Delivery } from '../ports/delivery.js';
import type { Driver } from '../ports/driver.js';

/** A port and one of its methods: `broker.publish`, `consumer.settle`, `results.put`, `schedules.advance`, … */
export type PortOperation =
  `${'broker' | 'consumer' | 'results' | 'revocations' | 'schedules' | 'inspector' | 'locks' | 'barriers' | 'pubsub' | 'driver'}.${string}`;

/** Methods that give no promise: their streams are untouched. */
const STREAMS: ReadonlySet<string> = new Set(['watch', 'subscribe']);

/**
 * A driver that breaks on command. Everything it is not told to break goes through.
 *
 * ```text
 *   call ─► slow? wait ─► down? reject, nothing happened ─► the driver ─► reply to be lost? reject, it did happen
 * ```
 */
export class FaultyDriver implements Driver {
  readonly contract = 1;
  readonly name: string;
  readonly broker?: Broker;
  readonly results?: NonNullable<Driver['results']>;
  readonly rpc?: NonNullable<Driver['rpc']>;
  readonly revocations?: NonNullable<Driver['revocations']>;
  readonly schedules?: NonNullable<Driver['schedules']>;
  readonly inspector?: NonNullable<Driver['inspector']>;
  readonly locks?: NonNullable<Driver['locks']>;
  readonly barriers?: NonNullable<Driver['barriers']>;
  readonly pubsub?: NonNullable<Driver['pubsub']>;
  private isDown: (operation: PortOperation) => boolean = () => false;
  private delayMs = 0;
  private readonly lostReplies = new Map<PortOperation, number>();
  private twice = 0;

  constructor(
    private readonly inner: Driver,
    private readonly options: { readonly clock?: Clock } = {},
  ) {
    this.name = inner.name;
    const { broker, results, rpc, revocations, schedules, inspector, locks, barriers, pubsub } = inner;
    if (broker !== undefined) this.broker = this.port('broker', broker);
    if (results !== undefined) this.results = this.port('results', results);
    if (rpc !== undefined) this.rpc = this.port('results', rpc);
    if (revocations !== undefined) this.revocations = this.port('revocations', revocations);
    if (schedules !== undefined) this.schedules = this.port('schedules', schedules);
    if (inspector !== undefined) this.inspector = this.port('inspector', inspector);
    if (locks !== undefined) this.locks = this.port('locks', locks);
    if (barriers !== undefined) this.barriers = this.port('barriers', barriers);
    if (pubsub !== undefined) this.pubsub = this.port('pubsub', pubsub);
  }

  /** Until `up`, these operations (default: all) reject with BROKER_UNAVAILABLE and have no effect. */
  down(operations?: readonly PortOperation[]): void {
    this.isDown = (operation) => operations === undefined || operations.includes(operation);
  }

  up(): void {
    this.isDown = () => false;
  }

  /** Each call takes this long, on the clock. 0: as fast as the driver. */
  slow(duration: Duration): void {
    this.delayMs = toMilliseconds(duration, 'slow');
  }

  /** The next `times` calls of the operation take effect, and reject all the same: the connection broke on the way back. */
  loseReply(operation: PortOperation, times = 1): void {
    this.lostReplies.set(operation, (this.lostReplies.get(operation) ?? 0) + times);
  }

  /** The next `times` deliveries come a second time, with the same receipt, right behind the first. */
  deliverTwice(times = 1): void {
    this.twice += times;
  }

  describe(): string {
    return `faulty ${this.inner.describe()}`;
  }

  connect(context: Parameters<Driver['connect']>[0]): Promise<void> {
    return this.call('driver.connect', () => this.inner.connect(context));
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  ping(): Promise<void> {
    return this.call('driver.ping', () => this.inner.ping());
  }

  /** The port with every method that gives a promise in between; its data and its streams are untouched. */
  private port<T extends object>(name: string, port: T): T {
    return new Proxy(port, {
      get: (target, property) => {
        const member: unknown = Reflect.get(target, property, target);
        if (typeof member !== 'function' || typeof property !== 'string' || STREAMS.has(property)) {
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        }
        const method = member as (...args: unknown[]) => Promise<unknown>;
        return (...args: unknown[]) =>
          this.call(`${name}.${property}` as PortOperation, () => method.apply(target, args)).then((result) =>
            this.changed(`${name}.${property}`, result),
          );
      },
    });
  }

  private changed(operation: string, result: unknown): unknown {
    if (operation === 'broker.consume') return this.port('consumer', result as Consumer);
    if (operation === 'consumer.receive') return this.doubled(result as readonly Delivery[]);
    return result;
  }

  private doubled(deliveries: readonly Delivery[]): readonly Delivery[] {
    return deliveries.flatMap((delivery) => {
      if (this.twice === 0) return [delivery];
      this.twice -= 1;
      return [delivery, { ...delivery, redelivered: true }];
    });
  }

  private async call<T>(operation: PortOperation, work: () => Promise<T>): Promise<T> {
    if (this.delayMs > 0) await (this.options.clock ?? systemClock).sleep(this.delayMs);
    if (this.isDown(operation)) throw unavailable(operation, 'is down, as told');
    const result = await work();
    const lost = this.lostReplies.get(operation) ?? 0;
    if (lost === 0) return result;
    this.lostReplies.set(operation, lost - 1);
    throw unavailable(operation, 'took effect, and its reply was lost, as told');
  }
}

function unavailable(operation: PortOperation, what: string): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: `${operation} ${what}.`,
    retryable: true,
    fields: { operation },
  });
}
