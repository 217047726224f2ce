import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/ambient/clock.js';
import { deferred } from '../../src/async/deferred.js';
import { ControlBus } from '../../src/control/control-bus.js';
import { eventually } from '../../src/testing/eventually.js';
import type { QueueUnderTest } from '../worker/worker-under-test.js';
import { queuesUnderTest } from '../worker/worker-under-test.js';

const open = queuesUnderTest();
const busOf = (queue: QueueUnderTest) => new ControlBus({ pubsub: queue.stores.pubsub, clock: systemClock });

describe('remote control', () => {
  it('reaches all workers, or those that are named', async () => {
    const queue = open();
    const workers = [await queue.work({ name: 'a@host' }), await queue.work({ name: 'b@host' })];
    const bus = busOf(queue);
    const pong = { ok: 'pong' };
    expect(workers.map((worker) => worker.name)).toEqual(['a@host', 'b@host']);
    expect(await bus.call('ping', {}, { limit: 2 })).toEqual(
      new Map([
        ['a@host', pong],
        ['b@host', pong],
      ]),
    );
    expect(await bus.call('ping', {}, { destination: ['b@host'] })).toEqual(new Map([['b@host', pong]]));
    expect(await bus.call('ping', {}, { pattern: 'a@*', limit: 1 })).toEqual(new Map([['a@host', pong]]));
    expect(await bus.call('ping', {}, { destination: ['c@host'], timeout: 50 })).toEqual(new Map());
  });

  it('knows workers apart that were given no name, also those of one process', async () => {
    const queue = open();
    const workers = [await queue.work(), await queue.work()];
    const names = workers.map(({ name }) => name);
    expect(names[0]).toMatch(new RegExp(`^worker@.+#${process.pid}`));
    expect(new Set(names).size).toBe(2);
    const answers = await busOf(queue).call('ping', {}, { limit: 2 });
    expect([...answers.keys()].sort()).toEqual([...names].sort());
  });

  it('shows what runs, what waits, what is known, and what was done', async () => {
    const queue = open({ worker: { concurrency: 1 } });
    const release = deferred();
    queue.task('hold', () => release.promise);
    queue.task('quick', () => 1);
    const worker = await queue.work();
    const ask = async (method: string, parameters = {}): Promise<unknown> =>
      (await busOf(queue).call(method, parameters, { destination: [worker.name] })).get(worker.name);
    await (await queue.send('quick')).get({ timeout: '5s' });
    const held = await queue.send('hold', [], { kwargs: {} });
    await eventually(() => expect(worker.status().active).toBe(1));
    const active = { id: held.id, name: 'hold', args: '()', hostname: worker.name, acknowledged: false };
    expect(await ask('active')).toMatchObject([{ ...active, delivery_info: { routing_key: 'default' } }]);
    expect(await ask('query_task', { ids: [held.id, 'other'] })).toMatchObject({ [held.id]: ['active', active] });
    expect(await ask('scheduled')).toEqual([]);
    expect(await ask('reserved')).toEqual([]);
    expect(await ask('registered')).toEqual(['hold', 'quick']);
    expect(await ask('active_queues')).toMatchObject([{ name: 'default', routing_key: 'default' }]);
    expect(await ask('stats')).toMatchObject({
      total: { hold: 1, quick: 1 },
      pid: process.pid,
      pool: { 'max-concurrency': 1 },
    });
    expect(await ask('conf')).toMatchObject({ defaultQueue: 'default', serializers: ['json'] });
    expect(await ask('report')).toMatchObject({ ok: expect.stringContaining('tasks: hold, quick') as string });
    release.resolve();
  });

  it('tells of registered tasks what Celery tells, with the rate that they have now', async () => {
    const queue = open();
    queue.task('limited', () => 1, { rateLimit: '10/m', timeLimit: '90s', retry: { max: 5 } });
    queue.task('plain', () => 1);
    const worker = await queue.work();
    const ask = async (method: string, parameters = {}): Promise<unknown> =>
      (await busOf(queue).call(method, parameters, { destination: [worker.name] })).get(worker.name);
    expect(await ask('registered')).toEqual(['limited [rate_limit=10/m]', 'plain']);
    // As `celery inspect registered` and Flower ask.
    expect(await ask('registered', { taskinfoitems: [] })).toEqual(['limited [rate_limit=10/m]', 'plain']);
    await ask('rate_limit', { task_name: 'plain', rate_limit: '7' });
    await ask('rate_limit', { task_name: 'limited', rate_limit: 0 });
    expect(await ask('registered')).toEqual(['limited', 'plain [rate_limit=7/s]']);
    const items = ['max_retries', 'time_limit', 'soft_time_limit', 'constructor'];
    expect(await ask('registered', { taskinfoitems: items })).toEqual([
      'limited [max_retries=5 time_limit=90]',
      'plain [max_retries=3]',
    ]);
  });

  it('resizes the pool, within its bounds', async () => {
    const queue = open({ worker: { concurrency: 2 } });
    const worker = await queue.work();
    const bus = busOf(queue);
    const say = async (method: string, n: unknown) =>
      (await bus.call(method, { n }, { destination: [worker.name] })).get(worker.name);
    expect(await say('pool_grow', 3)).toEqual({ ok: 'pool will grow' });
    expect(worker.status().concurrency).toBe(5);
    expect(await say('pool_shrink', 4)).toEqual({ ok: 'pool will shrink' });
    expect(worker.status().concurrency).toBe(1);
    expect(await say('pool_shrink', 1)).toMatchObject({ error: expect.any(String) as string });
    expect(await say('pool_grow', 0)).toMatchObject({ error: expect.stringContaining('n must be') as string });
    expect(worker.status().concurrency).toBe(1);
  });

  it('revokes and ends', async () => {
    const queue = open();
    const hears = deferred<unknown>();
    queue.task(
      'slow',
      (context: { signal: AbortSignal }) =>
        new Promise((_resolve, reject) => {
          context.signal.addEventListener('abort', () => {
            hears.resolve(context.signal.reason);
            reject(context.signal.reason as Error);
          });
        }),
      { bind: true },
    );
    const worker = await queue.work();
    const bus = busOf(queue);
    const handle = await queue.send('slow');
    await eventually(() => expect(worker.status().active).toBe(1));
    expect(await bus.call('revoke', { task_id: handle.id, terminate: true }, { limit: 1 })).toEqual(
      new Map([[worker.name, { ok: `tasks ${handle.id} flagged as revoked` }]]),
    );
    expect(await hears.promise).toMatchObject({ code: 'TASK_REVOKED' });
    expect((await bus.call('revoked', {}, { limit: 1 })).get(worker.name)).toContain(handle.id);
    await bus.cast('shutdown', {}, { destination: [worker.name] });
    await eventually(() => expect(worker.state).toBe('stopped'));
  });

  it.each([
    [
      'inspect',
      { ok: 'pong' },
      { error: 'This worker does not obey "shutdown". Its setting worker.control is "inspect".' },
    ],
    ['none', undefined, undefined],
  ] as const)('may be limited to %s', async (control, pong, refusal) => {
    const queue = open({ worker: { control } });
    const worker = await queue.work();
    const bus = busOf(queue);
    const options = { destination: [worker.name], timeout: 100 };
    expect((await bus.call('ping', {}, options)).get(worker.name)).toEqual(pong);
    expect((await bus.call('shutdown', {}, options)).get(worker.name)).toEqual(refusal);
    expect(worker.state).toBe('running');
  });

  it('answers what it does not know, and refuses what cannot be said', async () => {
    const queue = open();
    const worker = await queue.work();
    const bus = busOf(queue);
    expect((await bus.call('dance', {}, { limit: 1 })).get(worker.name)).toEqual({ error: 'unknown command: dance' });
    const invalid = { code: 'COMMAND_INVALID' };
    await expect(bus.cast('')).rejects.toMatchObject(invalid);
    await expect(bus.call('ping', {}, { destination: 'w' as never })).rejects.toMatchObject(invalid);
    await expect(bus.call('ping', {}, { matcher: 'sql', pattern: 'x' })).rejects.toMatchObject(invalid);
    await expect(new ControlBus({ pubsub: undefined, clock: systemClock }).cast('ping')).rejects.toMatchObject({
      code: 'CAPABILITY_UNSUPPORTED',
    });
  });
});
