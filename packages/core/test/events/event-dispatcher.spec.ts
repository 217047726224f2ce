import { describe, expect, it } from 'vitest';
import type { Deferred } from '../../src/async/deferred.js';
import { deferred } from '../../src/async/deferred.js';
import { BrokerError } from '../../src/errors/errors.js';
import { EventDispatcher } from '../../src/events/event-dispatcher.js';
import { readEvents } from '../../src/events/event-message.js';
import { bodySize } from '../../src/message/encoded-message.js';
import { LogicalClock } from '../../src/message/logical-clock.js';
import type { Publication } from '../../src/ports/channel.js';
import type { PubSub } from '../../src/ports/pub-sub.js';
import { FakeClock } from '../../src/testing/fake-clock.js';

/** A broker that is as slow as the test wants. */
class Broker implements PubSub {
  readonly calls: (readonly Publication[])[] = [];
  readonly open: Deferred<void>[] = [];
  held = false;

  publish(publications: readonly Publication[]): Promise<void> {
    this.calls.push(publications);
    if (!this.held) return Promise.resolve();
    const end = deferred();
    this.open.push(end);
    return end.promise;
  }

  subscribe(): never {
    throw new Error('Nobody listens here.');
  }

  get keys(): string[] {
    return this.calls.flat().map(({ channel }) => channel.key);
  }

  get ids(): string[] {
    const events = this.calls.flat().flatMap(({ message }) => readEvents(message));
    return events.map(({ event }) => ('id' in event ? (event.id as string) : event.type));
  }
}

function dispatcher(capacity?: number) {
  const [broker, clock, warnings] = [new Broker(), new FakeClock(new Date('2026-01-01')), [] as string[]];
  const logger = { warn: (message: string) => warnings.push(message) } as never;
  const told = new EventDispatcher({
    pubsub: broker,
    hostname: 'w@host',
    clock,
    logicalClock: new LogicalClock(),
    logger,
    ...(capacity === undefined ? {} : { capacity }),
  });
  const start = (...ids: readonly string[]): void => ids.forEach((id) => told.emit('task-started', { id }));
  return { broker, clock, warnings, told, start };
}

const named = (count: number, from = 0): string[] => Array.from({ length: count }, (_, at) => String(from + at));

describe('an event dispatcher', () => {
  it('gathers task events into one list', async () => {
    const { broker, clock, start } = dispatcher();
    start('a', 'b');
    expect(broker.calls).toEqual([]);
    await clock.advance(20);
    expect(broker.keys).toEqual(['task.multi']);
    expect(broker.ids).toEqual(['a', 'b']);
    const [{ event } = { event: undefined }] = readEvents(broker.calls[0]?.[0]?.message as never);
    expect(event).toMatchObject({ hostname: 'w@host', pid: process.pid, clock: 1, at: Date.parse('2026-01-01') });
  });

  it('says a list as soon as it is full, and what came meanwhile together', async () => {
    const { broker, told, start } = dispatcher();
    broker.held = true;
    start(...named(24));
    expect(broker.calls).toHaveLength(1);
    start(...named(30, 24));
    expect(broker.calls).toHaveLength(1);
    broker.held = false;
    broker.open[0]?.resolve();
    await told.flush();
    expect(broker.calls.map((one) => one.length)).toEqual([1, 2]);
    expect(broker.ids).toEqual(named(54));
  });

  it('keeps the order of events of all kinds, those of workers and of clients by themselves', async () => {
    const { broker, told, start } = dispatcher();
    const facts = {
      intervalMs: 2_000,
      active: 0,
      processed: 0,
      loadAverage: [],
      software: '',
      version: '',
      system: '',
    };
    const sent = { name: 'x', args: '()', kwargs: '{}', rootId: 'x', parentId: undefined, retries: 0 };
    const to = { eta: undefined, expires: undefined, queue: 'q', exchange: '', routingKey: 'q' };
    told.emit('worker-online', facts);
    start('a');
    told.emit('worker-heartbeat', facts);
    told.emit('task-sent', { id: 'b', ...sent, ...to });
    await told.flush();
    told.emit('task-sent', { id: 'c', ...sent, ...to });
    told.emit('task-sent', { id: 'd', ...sent, ...to });
    await told.flush();
    expect(broker.keys).toEqual(['worker.online', 'task.multi', 'worker.heartbeat', 'task.sent', 'task.multi']);
    expect(broker.ids).toEqual(['worker-online', 'a', 'worker-heartbeat', 'b', 'c', 'd']);
  });

  it('counts what it loses while too many wait, and goes on when there is room', async () => {
    const { broker, told, start, warnings } = dispatcher(30);
    broker.held = true;
    start(...named(24));
    start(...named(40, 24));
    expect(told.lost).toBe(10);
    expect(warnings).toEqual(['Events are lost, 1 so far: 30 wait for the broker already']);
    broker.held = false;
    broker.open[0]?.resolve();
    await told.flush();
    start('later');
    await told.flush();
    expect(broker.ids).toEqual([...named(54), 'later']);
  });

  it('counts what the broker refuses, says so once a minute, and goes on', async () => {
    const { broker, clock, told, start, warnings } = dispatcher();
    const refuse = async (...ids: readonly string[]): Promise<void> => {
      broker.held = true;
      start(...ids);
      const flushed = told.flush();
      broker.open.pop()?.reject(new BrokerError({ code: 'BROKER_UNAVAILABLE', message: 'It is away.' }));
      await flushed;
    };
    await refuse('a', 'b');
    await refuse('c');
    expect(told.lost).toBe(3);
    expect(warnings).toEqual(['Events are lost, 2 so far: It is away.']);
    await clock.advance('1m');
    await refuse('d');
    expect(warnings).toHaveLength(2);
    broker.held = false;
    start('e');
    await told.flush();
    expect(broker.ids.at(-1)).toBe('e');
    expect(told.lost).toBe(4);
  });

  it('does not try for a minute where the user may not tell events', async () => {
    const { broker, clock, told, start, warnings } = dispatcher();
    const refuse = async (id: string): Promise<void> => {
      broker.held = true;
      start(id);
      const flushed = told.flush();
      broker.open.pop()?.reject(new BrokerError({ code: 'CAPABILITY_UNSUPPORTED', message: 'You may not.' }));
      await flushed;
    };
    await refuse('a');
    start('b');
    await told.flush();
    expect(broker.calls).toHaveLength(1);
    expect(told.lost).toBe(2);
    expect(warnings).toEqual(['Events are lost, 1 so far: You may not.']);
    await clock.advance('1m');
    broker.held = false;
    start('c');
    await told.flush();
    expect(broker.ids).toEqual(['a', 'c']);
  });

  it('makes no message that a store could not carry', async () => {
    const { broker, told } = dispatcher();
    const traceback = '\u20ac'.repeat(16_384);
    for (const id of named(60)) told.emit('task-failed', { id, exception: 'Error()', traceback });
    await told.flush();
    expect(broker.ids).toEqual(named(60));
    for (const { message } of broker.calls.flat()) expect(bodySize(message.body)).toBeLessThan(512 * 1_024);
  });

  it('says the rest when it is closed, and nothing after that', async () => {
    const { broker, told, start } = dispatcher();
    start('a');
    await told.close();
    start('b');
    await told.flush();
    expect(broker.ids).toEqual(['a']);
    expect(told.lost).toBe(0);
  });
});
