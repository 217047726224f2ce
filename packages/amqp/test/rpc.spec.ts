import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import type { ResultRecord } from '@taskqueue/core';
import { composeStores, memoryDriver } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { App } from './app.js';
import { amqpUrl } from './broker-url.js';
import type { OpenedDriver } from './open-driver.js';
import { openDriver } from './open-driver.js';

const record = (overrides: Partial<ResultRecord>): ResultRecord => ({
  taskId: randomUUID(),
  state: 'SUCCESS',
  name: 't',
  run: 1,
  attempts: 1,
  ...overrides,
});
const text = (value: string): NonNullable<ResultRecord['result']> => ({
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  text: value,
});

describe.skipIf(amqpUrl === undefined)('results by rpc', () => {
  let caller: OpenedDriver;
  let runner: OpenedDriver;
  const apps: App[] = [];
  beforeAll(async () => {
    caller = await openDriver({ url: amqpUrl as string });
    runner = await openDriver({ url: amqpUrl as string });
  });
  afterEach(async () => void (await Promise.all(apps.splice(0).map((app) => app.close()))));
  afterAll(() => Promise.all([caller.dispose(), runner.dispose()]));

  /** The same application as a caller and as a worker, each in a process of its own as far as the broker can tell. */
  const pair = (...tasks: Parameters<App['task']>[]): { calls: App; runs: App } => {
    const calls = new App(caller.driver, { results: 'rpc' });
    const runs = new App(runner.driver, { results: 'rpc' });
    for (const task of tasks) runs.task(...task);
    apps.push(calls, runs);
    return { calls, runs };
  };

  it('come to the process that sent the task, and to nobody else', async () => {
    const { calls, runs } = pair(['add', (a: number, b: number) => a + b]);
    await runs.work({ queues: [calls.queue] });
    const handle = await calls.sender.sendTask<number>('add', [2, 3]);
    expect(await handle.get({ timeout: '10s' })).toBe(5);
    expect(await handle.get()).toBe(5);
    expect(await handle.record()).toMatchObject({ state: 'SUCCESS', name: 'add', queue: calls.queue, attempts: 1 });
    await expect(runs.sender.handle(handle.id).get()).rejects.toMatchObject({
      code: 'RESULT_UNAVAILABLE',
      retryable: false,
      fields: { taskId: handle.id },
    });
    expect('list' in (calls.stores.results ?? {})).toBe(false);
  });

  it('come for a task with an id of the caller’s own, also when it is used again', async () => {
    const { calls, runs } = pair(['echo', (value: number) => value]);
    await runs.work({ queues: [calls.queue] });
    const taskId = randomUUID();
    for (const value of [1, 2]) {
      const handle = await calls.sender.sendTask<number>('echo', [value], {}, { taskId });
      expect(await handle.get({ timeout: '10s' })).toBe(value);
    }
  });

  it('tell of failures, with their type', async () => {
    const fail = (): never => {
      throw new TypeError('no such order');
    };
    const { calls, runs } = pair(['fail', fail]);
    await runs.work({ queues: [calls.queue] });
    const handle = await calls.sender.sendTask('fail');
    await expect(handle.get({ timeout: '10s' })).rejects.toMatchObject({
      code: 'TASK_FAILED',
      failure: { type: 'TypeError', message: 'no such order' },
    });
  });

  it('tell of tasks that no worker knows', async () => {
    const { calls, runs } = pair(['known', () => 1]);
    await runs.work({ queues: [calls.queue] });
    const handle = await calls.sender.sendTask('stranger');
    await expect(handle.get({ timeout: '10s' })).rejects.toMatchObject({ code: 'TASK_UNKNOWN' });
  });

  it('are answered to Python’s reply_to in the form that Celery reads', async () => {
    const { calls, runs } = pair(['add', (a: number, b: number) => a + b]);
    await runs.work({ queues: [calls.queue] });
    const admin = await connect(amqpUrl as string);
    const channel = await admin.createChannel();
    const { queue: oid } = await channel.assertQueue('', { exclusive: true });
    const id = randomUUID();
    const headers = { id, task: 'add', lang: 'py', retries: 0, root_id: id, argsrepr: '(1, 2)', kwargsrepr: '{}' };
    channel.sendToQueue(calls.queue, Buffer.from('[[1, 2], {}, {"callbacks": null, "errbacks": null}]'), {
      headers,
      correlationId: id,
      replyTo: oid,
      contentType: 'application/json',
      contentEncoding: 'utf-8',
    });
    const reply = await eventually(async () => {
      const message = await channel.get(oid, { noAck: true });
      if (message === false) throw new Error('no reply yet');
      return message;
    });
    expect(reply.properties).toMatchObject({
      correlationId: id,
      contentType: 'application/json',
      contentEncoding: 'utf-8',
    });
    expect(JSON.parse(reply.content.toString())).toMatchObject({
      task_id: id,
      status: 'SUCCESS',
      result: 3,
      traceback: null,
      children: [],
    });
    await admin.close();
  });

  it('are read as Python’s workers send them', async () => {
    const results = caller.driver.rpc!;
    const [well, badly] = [randomUUID(), randomUUID()];
    const replyTo = await results.expect!([well, badly]);
    const admin = await connect(amqpUrl as string);
    const channel = await admin.createChannel();
    const say = (id: string, body: object): boolean =>
      channel.sendToQueue(replyTo, Buffer.from(JSON.stringify({ task_id: id, children: [], ...body })), {
        correlationId: id,
        contentType: 'application/json',
      });
    say(well, { status: 'STARTED', result: { pid: 7, hostname: 'py@host' }, traceback: null });
    say(well, { status: 'SUCCESS', result: { big: 1 }, traceback: null });
    const exception = { exc_type: 'KeyError', exc_message: ['x'], exc_module: 'builtins' };
    say(badly, { status: 'FAILURE', result: exception, traceback: 'Traceback …' });
    await eventually(async () => {
      const [first, second] = await results.get([well, badly]);
      expect(first).toMatchObject({ state: 'SUCCESS', result: text('{"big":1}') });
      expect(second).toMatchObject({ state: 'FAILURE', failure: { type: 'KeyError', stack: 'Traceback …' } });
    });
    await admin.close();
  });

  it('never go back, nor does a repetition change them', async () => {
    const [reader, writer] = [caller.driver.rpc!, runner.driver.rpc!];
    const taskId = randomUUID();
    const replyTo = await reader.expect!([taskId]);
    await writer.put([
      record({ taskId, replyTo, state: 'PROGRESS', progress: text('9') }),
      record({ taskId, replyTo, result: text('1') }),
      record({ taskId, replyTo, state: 'STARTED', run: 2 }),
      record({ taskId, replyTo, result: text('2'), run: 2 }),
    ]);
    const marker = randomUUID();
    await reader.expect!([marker]);
    await writer.put([record({ taskId: marker, replyTo })]);
    await eventually(async () => expect((await reader.get([marker]))[0]).toBeDefined());
    expect((await reader.get([taskId]))[0]).toMatchObject({ state: 'SUCCESS', result: text('1'), progress: text('9') });
  });

  it('are not missed by a caller whose connection was lost meanwhile', async () => {
    const url = new URL(amqpUrl as string);
    const proxy = await FaultProxy.open({ host: url.hostname, port: Number(url.port || 5_672) });
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    const lonely = await openDriver({ url: url.href });
    const results = lonely.driver.rpc!;
    const taskId = randomUUID();
    const replyTo = await results.expect!([taskId]);
    const admin = await connect(amqpUrl as string);
    const channel = await admin.createChannel();
    await proxy.refuse();
    proxy.cut();
    await runner.driver.rpc!.put([record({ taskId, replyTo, result: text('"kept"') })]);
    expect((await channel.checkQueue(replyTo)).messageCount).toBe(1);
    await proxy.accept();
    await eventually(async () => expect((await results.get([taskId]))[0]?.result).toEqual(text('"kept"')));
    await lonely.driver.close();
    await proxy.close();
    await eventually(async () => {
      const probe = await admin.createChannel();
      probe.on('error', () => undefined);
      await expect(probe.checkQueue(replyTo)).rejects.toMatchObject({ code: 404 });
    });
    await admin.close();
  });

  it('for a caller that is gone are sent nowhere, without an error', async () => {
    const replyTo = `gone-${randomUUID()}`;
    expect(await runner.driver.rpc!.put([record({ replyTo }), record({})])).toEqual(['stored', 'stored']);
  });

  it('are an error of the configuration where the broker has none', () => {
    expect(() => composeStores({ broker: memoryDriver(), results: 'rpc' })).toThrow(/results by rpc/);
  });
});
