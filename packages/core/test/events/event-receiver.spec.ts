import { describe, expect, it } from 'vitest';
import type { ClusterEvent, OtherEvent } from '../../src/events/cluster-event.js';
import { EVENTS } from '../../src/events/event-message.js';
import { EventReceiver } from '../../src/events/event-receiver.js';
import { LogicalClock } from '../../src/message/logical-clock.js';
import { MemoryPubSub } from '../../src/memory/memory-pub-sub.js';
import { COMMANDS, readCommand } from '../../src/control/control-message.js';
import { CAPTURED } from './captured.js';

function receiver() {
  const errors: string[] = [];
  const logger = { error: (message: string) => errors.push(message) } as never;
  const pubsub = new MemoryPubSub(() => logger);
  const logicalClock = new LogicalClock();
  const say = async (body: unknown, key = 'task.multi'): Promise<void> => {
    const message = { headers: {}, properties: {}, contentType: 'application/json', contentEncoding: 'utf-8' };
    const encoded = { ...message, body: new TextEncoder().encode(JSON.stringify(body)) };
    await pubsub.publish([{ channel: { ...EVENTS, key }, message: encoded }]);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { pubsub, logicalClock, errors, say, ears: new EventReceiver({ pubsub, logger, logicalClock }) };
}

describe('an event receiver', () => {
  it('hears single events and lists, whatever they are said under', async () => {
    const { ears, say } = receiver();
    const heard: ClusterEvent[] = [];
    const ear = ears.receive((event) => heard.push(event));
    await ear.ready;
    await say(CAPTURED['worker-online'], 'worker.online');
    await say([CAPTURED['task-received'], { nonsense: true }, CAPTURED['task-failed']]);
    expect(heard.map(({ type }) => type)).toEqual(['worker-online', 'task-received', 'task-failed']);
    await ear.close();
    await say(CAPTURED['worker-online'], 'worker.online');
    expect(heard).toHaveLength(3);
  });

  it('hears only what is asked for, and what is unknown where that is', async () => {
    const { ears, say } = receiver();
    const exceptions: (string | undefined)[] = [];
    const others: OtherEvent[] = [];
    ears.receive((event) => exceptions.push(event.exception), {
      types: ['task-failed', 'task-retried'],
      onOther: (event) => others.push(event),
    });
    const own = { hostname: 'w1@peer', timestamp: 1, type: 'shop-opened' };
    await say([CAPTURED['task-started'], CAPTURED['task-failed'], own, CAPTURED['task-retried']]);
    expect(exceptions).toEqual(["ValueError('boom')", "RuntimeError('attempt 0')"]);
    expect(others.map(({ type }) => type)).toEqual(['shop-opened']);
  });

  it('puts the logical clock forward', async () => {
    const { ears, say, logicalClock } = receiver();
    ears.receive(() => undefined);
    await say({ ...CAPTURED['worker-online'], clock: 41 });
    expect(logicalClock.now).toBe(42);
    await say({ ...CAPTURED['worker-online'], clock: 7 });
    expect(logicalClock.now).toBe(43);
    await say({ ...CAPTURED['worker-online'], clock: 1e300 });
    await say({ ...CAPTURED['worker-online'], clock: 'late' });
    expect(logicalClock.forward()).toBeLessThan(100);
  });

  it('survives a listener that fails, and hears the rest of the list', async () => {
    const { ears, say, errors } = receiver();
    const heard: string[] = [];
    ears.receive((event) => {
      heard.push(event.type);
      if (event.type === 'task-received') throw new Error('Not now.');
    });
    await say([CAPTURED['task-received'], CAPTURED['task-started']]);
    expect(heard).toEqual(['task-received', 'task-started']);
    expect(errors).toEqual(['A listener to events failed: Error: Not now.']);
  });

  it('asks who is there when it is told to', async () => {
    const { ears, pubsub } = receiver();
    const commands: (string | undefined)[] = [];
    pubsub.subscribe([COMMANDS], ({ message }) => commands.push(readCommand(message, 0)?.method));
    await ears.receive(() => undefined).ready;
    await ears.receive(() => undefined, { wakeUp: true }).ready;
    await new Promise((resolve) => setImmediate(resolve));
    expect(commands).toEqual(['heartbeat']);
  });

  it('refuses types that are none, and a broker without events', () => {
    const { ears } = receiver();
    expect(() => ears.receive(() => undefined, { types: ['task-failing' as never] })).toThrow(
      expect.objectContaining({
        code: 'EVENT_TYPE_UNKNOWN',
        remedy: 'Did you mean task-failed?',
        fields: { field: 'types', value: 'task-failing' },
      }),
    );
    const deaf = new EventReceiver({ pubsub: undefined, logger: {} as never });
    expect(() => deaf.receive(() => undefined)).toThrow(expect.objectContaining({ code: 'CAPABILITY_UNSUPPORTED' }));
  });
});
