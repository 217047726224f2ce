import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { ChildPort } from '@taskqueue/core';
import { memoryDriver, Signature, silentLogger, TaskClient } from '@taskqueue/core';
import { eventually, FaultyDriver } from '@taskqueue/core/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TaskQueueModuleOptions } from '../../src/index.js';
import { Retry, SharedTask, Task, TaskQueueModule, TaskQueueRuntime } from '../../src/index.js';
import type { TaskContext } from '../../src/index.js';
import { TaskQueueLifecycle } from '../../src/lifecycle/task-queue.lifecycle.js';
import { findTracing } from '../../src/tracing/open-telemetry.js';
import { spanContextFrom } from '../../src/tracing/traceparent.js';

type FromChild = Parameters<ChildPort['send']>[0];
type ToChild = Parameters<Parameters<ChildPort['onMessage']>[0]>[0];

@Injectable()
class Tasks {
  @SharedTask({ name: 'add' })
  async add(a: number, b: number): Promise<number> {
    return trace.getTracer('app').startActiveSpan('inside', (span) => {
      span.end();
      return a + b;
    });
  }

  @SharedTask({ name: 'twice', retry: { max: 1, delay: 0 } })
  async twice(@Task() task: TaskContext): Promise<string> {
    if (task.retries === 0) throw new Retry();
    return 'second';
  }

  @SharedTask({ name: 'fail' })
  async fail(): Promise<void> {
    throw new TypeError('no such thing');
  }
}

const exporter = new InMemorySpanExporter();
const open: { close(): Promise<void> }[] = [];
beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
  exporter.reset();
});
afterAll(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

async function scene(options: TaskQueueModuleOptions = {}) {
  const imports = [TaskQueueModule.forRoot({ driver: memoryDriver(), logger: silentLogger, ...options })];
  const app = await Test.createTestingModule({ imports, providers: [Tasks] }).compile();
  await app.init();
  open.push(app);
  return { app, client: app.get(TaskClient), lifecycle: app.get(TaskQueueLifecycle) };
}

const spans = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.name === name);
async function span(name: string, count = 1): Promise<ReadableSpan> {
  await eventually(() => expect(spans(name)).toHaveLength(count));
  return spans(name).at(-1) as ReadableSpan;
}
const parentId = (one: ReadableSpan): string | undefined => one.parentSpanContext?.spanId;

describe('traces', () => {
  it('lead from the caller over the sending to the run and what its handler does', async () => {
    const { client, lifecycle } = await scene();
    await lifecycle.startWorker();
    const id = await trace.getTracer('app').startActiveSpan('caller', async (caller) => {
      const handle = await client.sendTask('add', [1, 2]);
      caller.end();
      return handle.id;
    });
    const [caller, sent, run, inside] = [
      await span('caller'),
      await span('send add'),
      await span('process add'),
      await span('inside'),
    ];
    expect([sent.kind, run.kind]).toEqual([SpanKind.PRODUCER, SpanKind.CONSUMER]);
    expect([parentId(sent), parentId(run), parentId(inside)]).toEqual(
      [caller, sent, run].map((one) => one.spanContext().spanId),
    );
    expect(new Set([caller, sent, run, inside].map((one) => one.spanContext().traceId)).size).toBe(1);
    expect(sent.attributes).toMatchObject({
      'messaging.system': 'celery',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'default',
      'messaging.message.id': id,
    });
    expect(run.attributes).toMatchObject({
      'messaging.operation.type': 'process',
      'taskqueue.task': 'add',
      'taskqueue.attempt': 1,
      'taskqueue.outcome': 'succeeded',
    });
  });

  it('have a span for each attempt, linked to the one before', async () => {
    const { client, lifecycle } = await scene();
    await lifecycle.startWorker();
    await client.sendTask('twice');
    await span('process twice', 2);
    const [first, second] = spans('process twice') as [ReadableSpan, ReadableSpan];
    const sent = await span('send twice');
    expect([first, second].map(parentId)).toEqual([sent.spanContext().spanId, sent.spanContext().spanId]);
    expect(first.links).toEqual([]);
    expect(second.links.map(({ context: to }) => to.spanId)).toEqual([first.spanContext().spanId]);
    expect([first, second].map((one) => one.attributes['taskqueue.outcome'])).toEqual(['retry', 'succeeded']);
  });

  it('go on with what follows a task', async () => {
    const { client, lifecycle } = await scene();
    await lifecycle.startWorker();
    await client.sendTask('add', [1, 2], {}, { link: new Signature('add', [3]) });
    await span('process add', 2);
    const [first, second] = spans('process add') as [ReadableSpan, ReadableSpan];
    expect(second.spanContext().traceId).toBe(first.spanContext().traceId);
  });

  it('show a run that failed, and why', async () => {
    const { client, lifecycle } = await scene();
    await lifecycle.startWorker();
    await client.sendTask('fail');
    const run = await span('process fail');
    expect(run.status).toEqual({ code: SpanStatusCode.ERROR, message: 'no such thing' });
    expect(run.events.map(({ attributes }) => attributes?.['exception.type'])).toEqual(['TypeError']);
  });

  it('show a call that could not be sent', async () => {
    const driver = new FaultyDriver(memoryDriver());
    const { client } = await scene({ driver, publishRetries: 0 });
    driver.down(['broker.publish']);
    await expect(client.sendTask('add', [1, 2])).rejects.toThrow();
    expect((await span('send add')).status.code).toBe(SpanStatusCode.ERROR);
  });

  it('go on where the headers of a call say so, and no span is active', async () => {
    const { client, lifecycle } = await scene();
    await lifecycle.startWorker();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await client.sendTask('add', [1, 2], {}, { headers: { traceparent } });
    expect(parentId(await span('send add'))).toBe('b7ad6b7169203331');
    expect((await span('process add')).spanContext().traceId).toBe('0af7651916cd43dd8448eb211c80319c');
  });

  it('begin where a beat sends', async () => {
    const { lifecycle } = await scene({ schedule: { often: { task: 'add', args: [1, 2], every: '1s' } } });
    await lifecycle.startWorker();
    await lifecycle.startBeat();
    await eventually(() => expect(spans('process add').length).toBeGreaterThan(0));
    const run = spans('process add')[0] as ReadableSpan;
    expect(spans('send add').map((one) => one.spanContext().spanId)).toContain(parentId(run));
  });

  it('reach a child by the message, which tells its worker of its span', async () => {
    const { app } = await scene();
    const said: FromChild[] = [];
    let hear: (message: ToChild) => void = () => undefined;
    const port: ChildPort = {
      send: (message) => void said.push(message),
      onMessage: (listener) => (hear = listener),
      onOrphaned: () => undefined,
    };
    const serving = app.get(TaskQueueRuntime).createHost(port).serve();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const message = { id: 'x', task: 'add', args: [1, 2], kwargs: {}, retries: 0, customHeaders: { traceparent } };
    const execution = { message, queue: 'q', run: 1, attempt: 1, worker: 'w', deadline: undefined, wantsValue: true };
    hear({ type: 'run', id: 7, execution, weigh: false } as unknown as ToChild);
    const run = await span('process add');
    expect(parentId(run)).toBe('b7ad6b7169203331');
    expect(parentId(await span('inside'))).toBe(run.spanContext().spanId);
    await eventually(() => expect(said.map(({ type }) => type)).toEqual(['ready', 'traced', 'outcome']));
    const told = said[1] as Extract<FromChild, { type: 'traced' }>;
    expect(spanContextFrom(told.context)?.spanId).toBe(run.spanContext().spanId);
    hear({ type: 'bye' });
    expect(await serving).toBe('left');
  });

  it('are nothing without the package, and without a provider', async () => {
    const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
    expect(await findTracing(() => Promise.reject(missing))).toBeUndefined();
    const api = await import('@opentelemetry/api');
    const unregistered = { getTracerProvider: () => new api.ProxyTracerProvider() };
    expect(
      await findTracing(() => Promise.resolve({ ...api, trace: unregistered as unknown as typeof api.trace })),
    ).toBeUndefined();
    expect(await findTracing()).toBeDefined();
  });

  it.each([undefined, '', '00-xyz', `01-${'a'.repeat(32)}-${'b'.repeat(16)}-01`])('take %j for no context', (text) => {
    expect(spanContextFrom(text)).toBeUndefined();
  });
});
