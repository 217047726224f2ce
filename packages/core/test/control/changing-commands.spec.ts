import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/ambient/clock.js';
import { deferred } from '../../src/async/deferred.js';
import { ControlBus } from '../../src/control/control-bus.js';
import { COMMANDS, writeCommand } from '../../src/control/control-message.js';
import { CommandSigner, CommandVerifier } from '../../src/control/command-signature.js';
import { revokedBy, stampRevocationIds } from '../../src/control/stamp-revocation.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Broker, Consumer, ReceiveRequest, Subscription } from '../../src/ports/broker.js';
import type { Publication } from '../../src/ports/channel.js';
import type { Delivery } from '../../src/ports/delivery.js';
import type { Driver } from '../../src/ports/driver.js';
import { eventually } from '../../src/testing/eventually.js';
import { FakeClock } from '../../src/testing/fake-clock.js';
import type { QueueUnderTest } from '../worker/worker-under-test.js';
import { queuesUnderTest } from '../worker/worker-under-test.js';

const open = queuesUnderTest();
const NAME = 'w@host';
const SECRET = 'a secret of some length';

function commander(queue: QueueUnderTest, secret?: string) {
  const bus = new ControlBus({ pubsub: queue.stores.pubsub, clock: systemClock, secret });
  return async (method: string, parameters = {}): Promise<unknown> =>
    (await bus.call(method, parameters, { destination: [NAME], timeout: '5s' })).get(NAME);
}

/** As Python sends it, with stamps. */
async function sendStamped(queue: QueueUnderTest, task: string, stamps: Record<string, unknown>): Promise<string> {
  const id = randomUUID();
  const headers = { lang: 'py', task, id, retries: 0, stamped_headers: Object.keys(stamps), stamps };
  const message = {
    headers,
    properties: { correlation_id: id },
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    body: new TextEncoder().encode('[[], {}, {}]'),
  };
  await queue.stores.broker.publish([{ id, task, queue: queue.settings.defaultQueue, priority: 0, message }]);
  return id;
}

describe('commands that change a worker', () => {
  it('add a queue and cancel one', async () => {
    const queue = open();
    const ran: string[] = [];
    queue.task('note', (what: string) => void ran.push(what));
    const worker = await queue.work({ name: NAME, concurrency: 2 });
    const say = commander(queue);
    await queue.send('note', ['extra'], { queue: 'extra' });
    expect(
      await say('add_consumer', { queue: 'extra', exchange: null, exchange_type: 'direct', routing_key: null }),
    ).toEqual({
      ok: 'add consumer extra',
    });
    await eventually(() => expect(ran).toEqual(['extra']));
    expect(await say('add_consumer', { queue: 'extra' })).toEqual({ ok: 'already consuming from extra' });
    expect(await say('active_queues')).toMatchObject([{ name: 'default' }, { name: 'extra' }]);
    expect(await say('cancel_consumer', { queue: 'default' })).toEqual({ ok: 'no longer consuming from default' });
    expect(worker.status().queues).toEqual(['extra']);
    await queue.send('note', ['not now']);
    await queue.send('note', ['more'], { queue: 'extra' });
    await eventually(() => expect(ran).toEqual(['extra', 'more']));
    await say('add_consumer', { queue: 'default' });
    await eventually(() => expect(ran).toEqual(['extra', 'more', 'not now']));
    expect(await say('add_consumer', { queue: 'a b' })).toMatchObject({
      error: expect.stringContaining('queue must be') as string,
    });
    expect(await say('add_consumer', { queue: 'q', exchange: 'other' })).toMatchObject({
      error: expect.stringContaining('exchange must be') as string,
    });
    expect(await say('add_consumer', { queue: 'q', exchange_type: 'topic' })).toMatchObject({
      error: expect.stringContaining('exchange_type must be') as string,
    });
  });

  it('cancel a queue of which an answer is under way: nothing of it starts, and it is given back', async () => {
    const ran: string[] = [];
    const inner = memoryDriver();
    const broker = inner.broker as Broker;
    const late: { cancel?: () => Promise<unknown> } = {};
    const consume = async (subscription: Subscription): Promise<Consumer> => {
      const consumer = await broker.consume(subscription);
      const receive = async (request: ReceiveRequest): Promise<readonly Delivery[]> => {
        const deliveries = await consumer.receive(request);
        const { cancel } = late;
        if (deliveries.length > 0 && cancel !== undefined) {
          delete late.cancel;
          await cancel();
        }
        return deliveries;
      };
      return Object.assign(Object.create(consumer) as Consumer, { receive });
    };
    const driver = Object.assign(Object.create(inner) as Driver, {
      broker: Object.assign(Object.create(broker) as Broker, { consume }),
    });
    const queue = open({}, driver);
    queue.task('note', (what: string) => void ran.push(what));
    await queue.work({ name: NAME, queues: ['default', 'extra'] });
    const say = commander(queue);
    late.cancel = () => say('cancel_consumer', { queue: 'extra' });
    await queue.send('note', ['late'], { queue: 'extra' });
    await eventually(() => expect(late.cancel).toBeUndefined());
    await queue.send('note', ['default']);
    await eventually(async () => {
      const extra = (await inner.inspector?.queues())?.find(({ name }) => name === 'extra');
      expect(extra).toMatchObject({ ready: 1, leased: 0 });
    });
    await eventually(() => expect(ran).toEqual(['default']));
    await say('add_consumer', { queue: 'extra' });
    await eventually(() => expect(ran).toEqual(['default', 'late']));
  });

  it('set and lift a rate', async () => {
    const queue = open();
    let ran = 0;
    queue.task('work', () => void (ran += 1));
    await queue.work({ name: NAME, concurrency: 3 });
    const say = commander(queue);
    expect(await say('rate_limit', { task_name: 'work', rate_limit: '2/s' })).toEqual({
      ok: 'new rate limit set successfully',
    });
    for (let one = 0; one < 3; one += 1) await queue.send('work');
    await eventually(() => expect(ran).toBe(1));
    expect(await say('reserved')).toMatchObject([{ name: 'work' }, { name: 'work' }]);
    expect(await say('rate_limit', { task_name: 'work', rate_limit: 0 })).toEqual({
      ok: 'rate limit disabled successfully',
    });
    await eventually(() => expect(ran).toBe(3), 400);
    expect(await say('rate_limit', { task_name: 'nobody', rate_limit: '1/s' })).toEqual({ error: 'unknown task' });
    expect(await say('rate_limit', { task_name: 'wrok', rate_limit: '1/s' })).toEqual({
      error: 'unknown task: Did you mean work?',
    });
    expect(await say('rate_limit', { task_name: 'work', rate_limit: 'often' })).toMatchObject({
      error: expect.stringContaining('rate_limit must be a rate') as string,
    });
  });

  it('set the time limits of a task', async () => {
    const queue = open();
    queue.task('hang', () => deferred().promise);
    await queue.work({ name: NAME });
    const say = commander(queue);
    expect(await say('time_limit', { task_name: 'hang', soft: null, hard: 0.1 })).toEqual({
      ok: 'time limits set successfully',
    });
    const handle = await queue.send('hang');
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
    expect(await say('time_limit', { task_name: 'hang', soft: 5, hard: 1 })).toHaveProperty('error');
    expect(await say('time_limit', { task_name: 'hang', hard: -1 })).toHaveProperty('error');
    expect(await say('time_limit', { task_name: 'nobody', hard: 1 })).toEqual({ error: 'unknown task' });
  });

  it('set time limits also for tasks that have some, whose messages have them too; not for calls with their own', async () => {
    const queue = open();
    queue.task('hang', () => deferred().promise, { timeLimit: '1m' });
    await queue.work({ name: NAME, concurrency: 2 });
    await commander(queue)('time_limit', { task_name: 'hang', hard: 0.1 });
    const own = await queue.send('hang', [], { timeLimit: '2m' });
    const handle = await queue.send('hang');
    await expect(handle.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
    expect(await own.ready()).toBe(false);
  });

  it('change the range of the autoscaler, where there is one', async () => {
    const queue = open();
    const worker = await queue.work({ name: NAME, autoscale: '3,2' });
    const say = commander(queue);
    expect(await say('autoscale', { max: 6, min: 4 })).toEqual({ ok: 'autoscale now max=6 min=4' });
    await eventually(() => expect(worker.status().concurrency).toBe(4));
    expect(await say('stats')).toMatchObject({ autoscaler: { max: 6, min: 4, current: 4, qty: 0 } });
    expect(await say('autoscale', { max: 1, min: 4 })).toHaveProperty('error');
    expect(await say('pool_grow', { n: 5 })).toEqual({ ok: 'pool will grow' });
    expect(worker.status().concurrency).toBe(9);
    const other = open();
    await other.work({ name: NAME });
    expect(await commander(other)('stats')).not.toHaveProperty('autoscaler');
    expect(await commander(other)('autoscale', { max: 5, min: 1 })).toMatchObject({
      error: expect.stringContaining('Autoscale not enabled') as string,
    });
    expect(await commander(other)('pool_restart')).toMatchObject({
      error: expect.stringContaining('no children') as string,
    });
  });

  it('pause a queue for all workers, also those that start later', async () => {
    const queue = open();
    let ran = 0;
    queue.task('work', () => void (ran += 1));
    const worker = await queue.work({ name: NAME });
    const say = commander(queue);
    expect(await say('pause', { queue: 'default' })).toEqual({ ok: 'queue default paused' });
    await worker.stop();
    await queue.send('work');
    await queue.work({ name: NAME });
    expect(await queue.stores.inspector?.queues()).toMatchObject([{ name: 'default', paused: true, ready: 1 }]);
    expect(ran).toBe(0);
    expect(await say('resume', { queue: 'default' })).toEqual({ ok: 'queue default resumed' });
    await eventually(() => expect(ran).toBe(1));
  });
});

describe('a revocation by stamp', () => {
  it('reaches tasks that bear it, also after all workers were restarted', async () => {
    const queue = open();
    const ran: string[] = [];
    queue.task('work', () => void ran.push('work'));
    const worker = await queue.work({ name: NAME });
    expect(await commander(queue)('revoke_by_stamped_headers', { headers: { customer: ['a', 'b'] } })).toEqual({
      ok: "headers {'customer': ['a', 'b']} flagged as revoked, but not terminated",
    });
    await worker.stop();
    await sendStamped(queue, 'work', { customer: 'b', other: 1 });
    await sendStamped(queue, 'work', { customer: ['c', 'a'] });
    await sendStamped(queue, 'work', { customer: 'c' });
    await queue.work({ name: NAME });
    await eventually(() => expect(queue.events.filter(({ type }) => type === 'task-revoked').length).toBe(2));
    await eventually(() => expect(ran.length).toBe(1));
    expect(await commander(queue)('revoked')).toEqual([]);
  });

  it('of a client is in the store before any worker hears of it, and of tasks that it stamped', async () => {
    const queue = open();
    const ran: number[] = [];
    queue.task('work', (number: number) => void ran.push(number));
    const revoked = await queue.send('work', [1], { stamps: { customer: [7, 'seven'], batch: 'x' } });
    await queue.send('work', [2], { stamps: { customer: 8 } });
    const [first] = (await queue.stores.inspector?.peek({ queue: 'default', status: 'ready', limit: 1 })) ?? [];
    expect(first?.message.headers).toMatchObject({
      stamped_headers: ['customer', 'batch'],
      stamps: { customer: [7, 'seven'], batch: ['x'] },
    });
    await queue.sender.revokeStamped({ customer: 'seven' });
    await queue.work({ name: NAME });
    await expect(revoked.get({ timeout: '5s' })).rejects.toMatchObject({ code: 'TASK_REVOKED' });
    await eventually(() => expect(ran).toEqual([2]));
    await expect(queue.send('work', [3], { stamps: { a: {} } as never })).rejects.toThrow('stamps must be');
    await expect(queue.sender.revokeStamped({})).rejects.toMatchObject({ code: 'TASK_OPTIONS_INVALID' });
  });

  it('with terminate stops those that run', async () => {
    const queue = open();
    const begun = deferred();
    queue.task(
      'hold',
      ({ signal }: { signal: AbortSignal }) => {
        begun.resolve();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
      },
      { bind: true },
    );
    await queue.work({ name: NAME });
    const id = await sendStamped(queue, 'hold', { customer: 'x' });
    await begun.promise;
    await commander(queue)('revoke_by_stamped_headers', { headers: ['customer=x'], terminate: true });
    await eventually(async () => expect((await queue.stores.results?.get([id]))?.[0]?.state).toBe('REVOKED'));
    expect(await commander(queue)('revoke_by_stamped_headers', { headers: 'customer' })).toHaveProperty('error');
  });

  it('is the same however it is said', () => {
    expect(stampRevocationIds({ a: 1 })).toEqual(stampRevocationIds(['a=1']));
    expect(stampRevocationIds({ a: ['1', '2'] })).toEqual(stampRevocationIds(['a=1', 'a=2']));
    expect(revokedBy({ stampedHeaders: ['a'], stamps: { a: 1, b: 2 } })).toEqual(stampRevocationIds({ a: 1 }));
    expect(stampRevocationIds({ a: 'ü'.repeat(500) })?.[0]?.length).toBeLessThan(100);
    expect([stampRevocationIds({}), stampRevocationIds(['a']), stampRevocationIds({ a: {} })]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('a worker with a secret', () => {
  it('obeys what is signed, answers what only asks, and refuses the rest', async () => {
    const queue = open({ worker: { controlSecret: SECRET, concurrency: 2 } });
    const worker = await queue.work({ name: NAME });
    const [stranger, friend] = [commander(queue), commander(queue, SECRET)];
    expect(await stranger('ping')).toEqual({ ok: 'pong' });
    expect(await stranger('pool_grow')).toEqual({ error: 'This worker does not obey "pool_grow": it is not signed.' });
    expect(await commander(queue, 'another secret as long')('shutdown')).toMatchObject({
      error: expect.stringContaining('signature is wrong') as string,
    });
    expect(await friend('pool_grow')).toEqual({ ok: 'pool will grow' });
    expect(worker.status().concurrency).toBe(3);
    const conf = JSON.stringify(await stranger('conf'));
    expect(conf).toContain('controlSecret');
    expect(conf).not.toContain(SECRET);
  });

  it('does not obey the same message twice, nor one that was changed', async () => {
    const queue = open({ worker: { controlSecret: SECRET, concurrency: 2 } });
    const worker = await queue.work({ name: NAME });
    const signed = new CommandSigner(SECRET, systemClock).sign(
      writeCommand({ method: 'pool_grow', arguments: { n: 1 } }),
    );
    await queue.stores.pubsub?.publish([signed]);
    await eventually(() => expect(worker.status().concurrency).toBe(3));
    const other = writeCommand({ method: 'pool_grow', arguments: { n: 9 } });
    const forged: Publication = { channel: COMMANDS, message: { ...signed.message, body: other.message.body } };
    await queue.stores.pubsub?.publish([signed, forged]);
    expect(await commander(queue, SECRET)('ping')).toEqual({ ok: 'pong' });
    expect(worker.status().concurrency).toBe(3);
  });

  it('is told of revocations by those who know it, and by nobody else', async () => {
    const queue = open({ worker: { controlSecret: SECRET } });
    const begun = deferred();
    let reason: unknown;
    queue.task(
      'hold',
      ({ signal }: { signal: AbortSignal }) => {
        begun.resolve();
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reason = signal.reason;
            reject(signal.reason as Error);
          });
        });
      },
      { bind: true },
    );
    await queue.work({ name: NAME });
    const handle = await queue.send('hold');
    await begun.promise;
    const parameters = { task_id: handle.id, terminate: true };
    expect(await commander(queue)('revoke', parameters)).toHaveProperty('error');
    expect(await commander(queue)('revoke_by_stamped_headers', { headers: { a: 1 } })).toHaveProperty('error');
    expect(await commander(queue)('revoked')).toEqual([]);
    expect(reason).toBeUndefined();
    expect(await commander(queue, SECRET)('revoke', parameters)).toHaveProperty('ok');
    await eventually(() => expect(reason).toMatchObject({ code: 'TASK_REVOKED' }));
  });

  it('takes a signature for a minute', () => {
    const clock = new FakeClock();
    const verifier = new CommandVerifier(SECRET, clock);
    const sign = (at: number) => {
      return new CommandSigner(SECRET, new FakeClock(at)).sign(writeCommand({ method: 'shutdown', arguments: {} }))
        .message;
    };
    expect(verifier.refusal(sign(clock.now() - 61_000))).toContain('more than a minute');
    expect(verifier.refusal(sign(clock.now() + 61_000))).toContain('more than a minute');
    const changed = { ...sign(clock.now()), body: writeCommand({ method: 'ping', arguments: {} }).message.body };
    expect(verifier.refusal(changed)).toBe('its signature is wrong');
    const fresh = sign(clock.now() - 59_000);
    expect([verifier.refusal(fresh), verifier.refusal(fresh)]).toEqual([undefined, 'it was heard before']);
  });
});
