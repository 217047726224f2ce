import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { isTaskQueueError } from '../errors/errors.js';
import type { Broker, Consumer, OutgoingMessage } from '../ports/broker.js';
import type { Delivery, Settlement, SettleOutcome } from '../ports/delivery.js';
import type { Driver } from '../ports/driver.js';
import type { ResultRecord } from '../ports/result-backend.js';
import type { ScheduleEntry } from '../schedule/schedule-entry.js';
import { SCHEDULE_ENTRY_DEFAULTS } from '../schedule/schedule-entry.js';

/** What a test runner offers; vitest, node:test, jest and mocha all fit. */
export interface TestRunner {
  readonly describe: (name: string, body: () => void) => void;
  readonly it: (name: string, body: () => Promise<void>) => void;
  readonly beforeAll: (body: () => Promise<void>) => void;
  readonly afterAll: (body: () => Promise<void>) => void;
}

/** A driver to be tested, on an empty store of its own. */
export interface DriverUnderTest {
  /** Connected. */
  readonly driver: Driver;
  /** A second driver on the same store, as another process would have; connected. */
  readonly peer: Driver;
  /** Runs `body` in a transaction of the store and commits; an error rolls back. Needed where `transactions` is true. */
  readonly transaction?: (body: (transaction: unknown) => Promise<void>) => Promise<void>;
  dispose(): Promise<void>;
}

/** What every case gets: the driver, and names that no other case has. */
export class ConformanceContext {
  private under: DriverUnderTest | undefined;
  private readonly consumers: Consumer[] = [];

  constructor(private readonly factory: () => Promise<DriverUnderTest>) {}

  async open(): Promise<void> {
    this.under = await this.factory();
  }

  async close(): Promise<void> {
    await Promise.all(this.consumers.map((consumer) => consumer.close()));
    await this.under?.dispose();
  }

  get driver(): Driver {
    assert(this.under, 'the driver is not open yet');
    return this.under.driver;
  }

  get peer(): Driver {
    assert(this.under, 'the driver is not open yet');
    return this.under.peer;
  }

  get transaction(): NonNullable<DriverUnderTest['transaction']> {
    assert(this.under?.transaction, 'a driver with `transactions` must give the suite a `transaction` function');
    return this.under.transaction;
  }

  get broker(): Broker {
    assert(this.driver.broker);
    return this.driver.broker;
  }

  /** A queue of the case's own, declared. */
  async queue(): Promise<string> {
    const name = `q-${randomUUID().slice(0, 13)}`;
    await this.broker.declare([{ name }]);
    return name;
  }

  async consumer(queues: readonly string[], options: { leaseMs?: number; driver?: Driver } = {}): Promise<Consumer> {
    const broker = (options.driver ?? this.driver).broker;
    assert(broker);
    const consumer = await broker.consume({
      queues,
      consumerId: `c-${randomUUID().slice(0, 8)}`,
      leaseMs: options.leaseMs ?? 30_000,
    });
    this.consumers.push(consumer);
    return consumer;
  }

  /** Publishes and insists that every message was accepted. Returns the ids. */
  async publish(...messages: OutgoingMessage[]): Promise<string[]> {
    const outcomes = await this.broker.publish(messages);
    for (const outcome of outcomes) assert.equal(outcome.status, 'accepted');
    return messages.map((message) => message.id);
  }
}

/** A message with a small body; the id is in it, so that a mix-up shows. */
export function message(queue: string, overrides: Partial<OutgoingMessage> = {}): OutgoingMessage {
  const id = overrides.id ?? randomUUID();
  return {
    id,
    task: 'conformance.task',
    queue,
    priority: 0,
    message: {
      headers: { lang: 'js', task: 'conformance.task', id, retries: 0, root_id: id, text: 'zażółć \u0000 "\\' },
      properties: { correlation_id: id, reply_to: '', delivery_mode: 2, priority: overrides.priority ?? 0 },
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      body: new TextEncoder().encode(JSON.stringify([[id], {}, {}])),
    },
    ...overrides,
  };
}

/** Receives until `count` deliveries have come or `timeoutMs` is over, and insists on the count. */
export async function receive(consumer: Consumer, count: number, timeoutMs = 10_000): Promise<Delivery[]> {
  const deliveries: Delivery[] = [];
  const signal = AbortSignal.timeout(timeoutMs);
  while (deliveries.length < count && !signal.aborted) {
    deliveries.push(...(await consumer.receive({ max: count - deliveries.length, signal })));
  }
  assert.equal(deliveries.length, count, `expected ${count} deliveries within ${timeoutMs} ms`);
  return deliveries;
}

/** Insists that nothing is handed out within a short while. */
export async function receiveNothing(consumer: Consumer, forMs = 150): Promise<void> {
  const deliveries = await consumer.receive({ max: 10, signal: AbortSignal.timeout(forMs) });
  assert.deepEqual(idsOf(deliveries), []);
}

export async function settle(consumer: Consumer, settlement: Settlement): Promise<SettleOutcome> {
  const [outcome] = await consumer.settle([settlement]);
  assert(outcome);
  return outcome;
}

export async function ackAll(consumer: Consumer, deliveries: readonly Delivery[]): Promise<void> {
  const outcomes = await consumer.settle(deliveries.map((delivery) => ({ kind: 'ack', delivery })));
  for (const outcome of outcomes) assert.equal(outcome, 'settled');
}

export function idOf(delivery: Delivery): string {
  return String(delivery.message.headers['id']);
}

export function idsOf(deliveries: readonly Delivery[]): string[] {
  return deliveries.map(idOf);
}

/** A list's answer to a cursor that it did not give. */
export function isCursorRefusal(error: unknown): boolean {
  return isTaskQueueError(error, 'STATE_INVALID') && error.fields['field'] === 'cursor';
}

export function record(taskId: string, overrides: Partial<ResultRecord> = {}): ResultRecord {
  return {
    taskId,
    state: 'STARTED',
    name: 'conformance.task',
    run: 1,
    attempts: 1,
    createdAt: 1_700_000_000_000,
    ...overrides,
  };
}

export function jsonValue(value: unknown): { contentType: string; contentEncoding: string; text: string } {
  return { contentType: 'application/json', contentEncoding: 'utf-8', text: JSON.stringify(value) };
}

export function entry(name: string, overrides: Partial<ScheduleEntry> = {}): ScheduleEntry {
  return {
    ...SCHEDULE_ENTRY_DEFAULTS,
    name,
    task: 'conformance.task',
    schedule: { kind: 'interval', everyMs: 10_000 },
    ...overrides,
  };
}
