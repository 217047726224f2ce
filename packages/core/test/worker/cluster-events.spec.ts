import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/ambient/logger.js';
import { systemClock } from '../../src/ambient/clock.js';
import { deferred } from '../../src/async/deferred.js';
import { writeCommand } from '../../src/control/control-message.js';
import { ControlBus } from '../../src/control/control-bus.js';
import type { ClusterEvent } from '../../src/events/cluster-event.js';
import { EventDispatcher } from '../../src/events/event-dispatcher.js';
import { EventReceiver } from '../../src/events/event-receiver.js';
import { PublishEvents } from '../../src/events/publish-events.js';
import { sentEvents } from '../../src/events/sent-events.js';
import { LogicalClock } from '../../src/message/logical-clock.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Driver } from '../../src/ports/driver.js';
import type { PubSub } from '../../src/ports/pub-sub.js';
import { TaskSender } from '../../src/client/task-sender.js';
import type { TaskContext } from '../../src/task/task-context.js';
import { Ignore, Reject, Retry, Snooze } from '../../src/task/task-signals.js';
import { Worker } from '../../src/worker/worker.js';
import { Signature } from '../../src/canvas/signature.js';
import { eventually } from '../../src/testing/eventually.js';
import type { QueueUnderTest } from './worker-under-test.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

function listen(queue: QueueUnderTest): ClusterEvent[] {
  const heard: ClusterEvent[] = [];
  const { pubsub } = queue.stores;
  new EventReceiver({ pubsub, logger: silentLogger }).receive((event) => heard.push(event));
  return heard;
}

/** What was heard of one task. */
const of = (heard: readonly ClusterEvent[], id: string) => heard.filter((event) => 'id' in event && event.id === id);
const typesOf = (heard: readonly ClusterEvent[], id: string) => of(heard, id).map(({ type }) => type);

/** A memory on which Celery is, too, as on Redis and RabbitMQ. */
function sharedDriver(pubsub?: PubSub): Driver {
  const driver = memoryDriver();
  const shared =
    pubsub ??
    new Proxy(driver.pubsub as PubSub, {
      get: (target, key) => (key === 'heardByCelery' ? true : (Reflect.get(target, key) as unknown)),
    });
  return { ...driver, pubsub: shared };
}

describe('the events of a worker', () => {
  it('tell the story of each task', async () => {
    const queue = open({ worker: { events: true, name: 'w@host' } });
    const heard = listen(queue);
    queue.task('add', (x: number, y: number) => x + y);
    queue.task('fail', () => {
      throw new RangeError("it's over");
    });
    queue.task(
      'again',
      (context: TaskContext) => {
        if (context.retries === 0) throw new Retry({ countdown: 0, cause: new TypeError('not yet') });
        return 'done';
      },
      { bind: true, retry: { max: 1 } },
    );
    queue.task('refuse', () => {
      throw new Reject('no');
    });
    queue.task('ignore', () => {
      throw new Ignore();
    });
    queue.task(
      'snooze',
      (context: TaskContext) => {
        if (context.fence === 1) throw new Snooze(1);
      },
      { bind: true },
    );
    await queue.work();
    const send = async (task: string, args: unknown[] = [], options = {}) => (await queue.send(task, args, options)).id;
    const ids = {
      add: await send('add', [2, 3], { kwargs: {} }),
      fail: await send('fail'),
      again: await send('again'),
      refuse: await send('refuse'),
      ignore: await send('ignore'),
      snooze: await send('snooze'),
      unknown: await send('nobody.knows'),
      expired: await send('add', [1, 1], { expires: new Date(systemClock.now() - 1_000) }),
    };
    const beginning = ['task-received', 'task-started'];
    await eventually(() => {
      expect(typesOf(heard, ids.add)).toEqual([...beginning, 'task-succeeded']);
      expect(typesOf(heard, ids.fail)).toEqual([...beginning, 'task-failed']);
      expect(typesOf(heard, ids.again)).toEqual([...beginning, 'task-retried', ...beginning, 'task-succeeded']);
      expect(typesOf(heard, ids.refuse)).toEqual([...beginning, 'task-rejected']);
      expect(typesOf(heard, ids.ignore)).toEqual([...beginning, 'task-ignored']);
      expect(typesOf(heard, ids.snooze)).toEqual([...beginning, 'task-snoozed', ...beginning, 'task-succeeded']);
      expect(typesOf(heard, ids.unknown)).toEqual(['task-received', 'task-failed']);
      expect(typesOf(heard, ids.expired)).toEqual(['task-received', 'task-revoked']);
    });
    const [received, , succeeded] = of(heard, ids.add);
    expect(received?.fields).toMatchObject({
      hostname: 'w@host',
      pid: process.pid,
      uuid: ids.add,
      name: 'add',
      args: '(2, 3)',
      kwargs: '{}',
      root_id: ids.add,
      parent_id: null,
      retries: 0,
      eta: null,
      expires: null,
    });
    expect(succeeded?.fields).toMatchObject({ result: '5', runtime: expect.any(Number) as number });
    expect(of(heard, ids.fail).at(-1)?.fields).toMatchObject({
      exception: `RangeError('it\\'s over')`,
      traceback: expect.stringContaining('cluster-events.spec') as string,
    });
    expect(of(heard, ids.again)[2]?.fields).toMatchObject({ exception: "TypeError('not yet')" });
    expect(of(heard, ids.again)[3]?.fields).toMatchObject({ retries: 1 });
    expect(of(heard, ids.refuse).at(-1)?.fields).toMatchObject({ requeue: false });
    expect(of(heard, ids.snooze)[2]).toMatchObject({ delayMs: 1 });
    expect(of(heard, ids.unknown).at(-1)?.fields).toMatchObject({ exception: "NotRegistered('nobody.knows')" });
    expect(of(heard, ids.expired).at(-1)?.fields).toMatchObject({ expired: true, terminated: false, signum: null });
    const clocks = heard.map(({ clock }) => clock);
    expect(clocks).toEqual([...clocks].sort((a, b) => a - b));
  });

  it('say that a task was terminated, and that one was handed back', async () => {
    const queue = open({ worker: { events: true } });
    const heard = listen(queue);
    const started = [deferred(), deferred()];
    queue.task(
      'hold',
      async (at: number, context: TaskContext) => {
        started[at]?.resolve();
        await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve()));
        throw new Error('stopped');
      },
      { bind: true },
    );
    const worker = await queue.work();
    const [first, second] = [await queue.send('hold', [0]), await queue.send('hold', [1])];
    await Promise.all(started.map((one) => one.promise));
    await first.revoke({ terminate: true });
    await eventually(() => expect(typesOf(heard, first.id).at(-1)).toBe('task-revoked'));
    expect(of(heard, first.id).at(-1)).toMatchObject({ terminated: true, expired: false });
    await worker.stop({ graceMs: 20 });
    expect(typesOf(heard, second.id).at(-1)).toBe('task-interrupted');
    expect(heard.at(-1)?.type).toBe('worker-offline');
  });

  it('say of the worker that it comes, is there and goes, with what it does', async () => {
    const queue = open({ worker: { heartbeat: 30, name: 'w@host' } }, sharedDriver());
    const heard = listen(queue);
    const release = deferred();
    queue.task('hold', () => release.promise);
    const worker = await queue.work();
    await queue.send('hold');
    await eventually(() => expect(heard.filter(({ type }) => type === 'worker-heartbeat').length).toBeGreaterThan(2));
    await eventually(() => expect(heard.at(-1)?.fields).toMatchObject({ active: 1, processed: 0, freq: 0.03 }));
    release.resolve();
    await eventually(() => expect(heard.at(-1)).toMatchObject({ active: 0, processed: 1 }));
    await worker.stop();
    expect(heard[0]).toMatchObject({ type: 'worker-online', hostname: 'w@host', software: 'js-taskqueue' });
    expect(heard.at(-1)).toMatchObject({ type: 'worker-offline', processed: 1, loadAverage: expect.any(Array) as [] });
    expect(heard.some(({ type }) => type.startsWith('task-'))).toBe(false);
    const count = heard.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toHaveLength(count);
  });

  it('are none where nobody else reads the store and nobody asked for them', async () => {
    const queue = open({ worker: { heartbeat: 1 } });
    const heard = listen(queue);
    queue.task('quick', () => 1);
    const worker = await queue.work();
    const handle = await queue.send('quick');
    await handle.get({ timeout: '5s' });
    await worker.stop();
    expect(heard).toEqual([]);
  });

  it('are not made for the log alone', async () => {
    const queue = open({ worker: { heartbeat: 0 } });
    const { stores, registry, settings } = queue;
    const worker = new Worker({
      stores,
      registry,
      settings,
      logger: silentLogger,
      clock: systemClock,
      random: () => 0,
    });
    expect([worker.heard, worker.heardInFull]).toEqual([true, false]);
    const stop = worker.on(() => undefined);
    expect(worker.heardInFull).toBe(true);
    stop();
    expect(worker.heardInFull).toBe(false);
  });

  it('are turned on and off by command', async () => {
    const queue = open({ worker: { name: 'w@host' } });
    const heard = listen(queue);
    queue.task('quick', () => 1);
    await queue.work();
    const bus = new ControlBus({ pubsub: queue.stores.pubsub, clock: systemClock });
    const say = async (method: string) => (await bus.call(method, {}, { destination: ['w@host'] })).get('w@host');
    const run = async () => {
      const handle = await queue.send('quick');
      await handle.get({ timeout: '5s' });
      return handle.id;
    };
    expect(await say('disable_events')).toEqual({ ok: 'task events already disabled' });
    await run();
    expect(await say('enable_events')).toEqual({ ok: 'task events enabled' });
    expect(await say('enable_events')).toEqual({ ok: 'task events already enabled' });
    const told = await run();
    await eventually(() => expect(typesOf(heard, told)).toContain('task-succeeded'));
    expect(await say('disable_events')).toEqual({ ok: 'task events disabled' });
    const silent = await run();
    await bus.cast('heartbeat');
    await eventually(() => expect(heard.at(-1)?.type).toBe('worker-heartbeat'));
    // Celery's command line takes silence for a worker that is not there.
    expect(await say('heartbeat')).toBeNull();
    expect(typesOf(heard, silent)).toEqual([]);
    expect(heard[0]?.type).toBe('worker-online');
  });

  it('are counted when they are lost, and no task is the worse for it', async () => {
    const refusing: PubSub = {
      heardByCelery: true,
      publish: () => Promise.reject(new Error('It is away.')),
      subscribe: () => ({ ready: new Promise(() => undefined), close: () => Promise.resolve() }),
    };
    const queue = open({ worker: { events: true } }, sharedDriver(refusing));
    queue.task('quick', () => 1);
    const worker = await queue.work();
    const handle = await queue.send('quick');
    expect(await handle.get({ timeout: '5s' })).toBe(1);
    await eventually(() => expect(worker.status().lostEvents).toBe(4));
  });

  it('number themselves after what was heard', async () => {
    const queue = open({ worker: { name: 'w@host', events: true } });
    const heard = listen(queue);
    await queue.work();
    const bus = new ControlBus({ pubsub: queue.stores.pubsub, clock: systemClock });
    const { value } = await bus
      .call('clock', {}, { destination: ['w@host'] })
      .then((answers) => ({ value: answers.get('w@host') as { clock: number } }));
    expect(value.clock).toBeGreaterThan(0);
    await bus.cast('heartbeat');
    await eventually(() => expect(heard.at(-1)?.clock).toBeGreaterThan(value.clock));
    const late = writeCommand({ method: 'heartbeat', arguments: {} }, { headers: { clock: 5_000 } });
    await queue.stores.pubsub?.publish([late]);
    await eventually(() => expect(heard.at(-1)?.clock).toBeGreaterThan(5_000));
  });
});

describe('what a worker publishes', () => {
  it('is told once its task is settled', async () => {
    const queue = open();
    const { stores, registry, settings } = queue;
    const told: string[] = [];
    const published = new PublishEvents(silentLogger);
    published.on(({ type, task }) => told.push(`${type} ${task.name} ${String(task.message.args)}`));
    queue.task('first', (x: number) => x + 1);
    queue.task('next', (x: number) => x);
    const common = { stores, registry, settings, logger: silentLogger, clock: systemClock, random: () => 0, published };
    const worker = new Worker(common);
    queue.started.push(worker);
    await worker.start();
    const handle = await queue.send('first', [1], { link: new Signature('next') });
    await handle.get({ timeout: '5s' });
    await eventually(() => expect(told).toEqual(['task-publishing next 2', 'task-sent next 2']));
  });
});

describe('the events of a client', () => {
  it('tell what is sent, and not what is refused', async () => {
    const queue = open();
    const heard = listen(queue);
    const events = new PublishEvents(silentLogger);
    const { stores, registry, settings } = queue;
    const dispatcher = new EventDispatcher({
      pubsub: stores.pubsub as PubSub,
      hostname: 'gen1@host',
      clock: systemClock,
      logicalClock: new LogicalClock(),
      logger: silentLogger,
    });
    const order: string[] = [];
    events.on(({ type, task }) => order.push(`${type} ${task.name}`));
    events.on(sentEvents(dispatcher));
    events.on(() => {
      throw new Error('A listener that fails.');
    });
    queue.task('one', (x: number, k?: string) => [x, k], { params: ['x', 'k'] });
    const sender = new TaskSender({ stores, registry, settings, clock: systemClock, events });
    const eta = new Date(systemClock.now() + 60_000);
    const handle = await sender.sendTask('one', [1], { k: 'v' }, { eta, queue: 'other' });
    await expect(sender.sendTask('one', [1], {}, { priority: 77 })).rejects.toThrow();
    await sender.sendMany([{ task: 'one', args: [2] }, { task: 'two' }]);
    await dispatcher.flush();
    await eventually(() => expect(heard).toHaveLength(3));
    expect(heard[0]?.fields).toMatchObject({
      type: 'task-sent',
      hostname: 'gen1@host',
      uuid: handle.id,
      root_id: handle.id,
      parent_id: null,
      name: 'one',
      args: '(1,)',
      kwargs: "{'k': 'v'}",
      retries: 0,
      eta: `${eta.toISOString().slice(0, -1)}000+00:00`.replace('.000000', ''),
      expires: null,
      queue: 'other',
      exchange: '',
      routing_key: 'other',
    });
    expect(order).toEqual([
      'task-publishing one',
      'task-sent one',
      'task-publishing one',
      'task-publishing two',
      'task-sent one',
      'task-sent two',
    ]);
  });
});
