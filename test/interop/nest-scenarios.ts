import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { SharedTask, TaskClient, TaskQueueModule } from '@taskqueue/nestjs';
import { describe, expect, it } from 'vitest';
import { dialect } from './python-peer.js';
import type { Scene } from './scene.js';

@Injectable()
class Greetings {
  constructor(private readonly client: TaskClient) {}

  /** Asks Python for a sum on its way. */
  @SharedTask({ name: 'nest.greet', params: ['name', 'a', 'b'] })
  async greet(name: string, a: number, b: number): Promise<string> {
    const sum = await this.client.sendTask<number>('py.add', [a, b], {}, { queue: this.pythonQueue() });
    return `${name}: ${await sum.get({ timeout: '20s' })}`;
  }

  /** What a task of Python is told of the trace that it is called in. */
  @SharedTask({ name: 'nest.trace' })
  async traced(): Promise<unknown> {
    const call = await this.client.sendTask<{ traceparent: unknown }>(
      'py.request',
      [],
      {},
      { queue: this.pythonQueue() },
    );
    return (await call.get({ timeout: '20s' })).traceparent;
  }

  private pythonQueue(): string {
    return process.env['INTEROP_NEST_PYTHON_QUEUE'] as string;
  }
}

/** The same, through Nest. */
export function nestScenarios(scene: () => Scene): void {
  /** Runs this Python beside a Nest application with a worker. */
  async function beside(source: string): Promise<unknown> {
    const queue = scene().queue('nest');
    process.env['INTEROP_NEST_PYTHON_QUEUE'] = scene().pythonQueue;
    const { broker, results } = scene().drivers();
    const options = { defaultQueue: queue, dialect, embedded: 'worker', worker: { logTasks: false } } as const;
    const app = await Test.createTestingModule({
      imports: [TaskQueueModule.forRoot({ ...options, broker, ...(results === undefined ? {} : { results }) })],
      providers: [Greetings],
    }).compile();
    app.useLogger(false);
    await app.init();
    try {
      return await scene().python.run(source, { queue });
    } finally {
      await app.close();
    }
  }

  describe('a Nest application', () => {
    it('runs what Python sends, and has Python run something for it', async () => {
      const source = "app.send_task('nest.greet', ('Ada', 1), {'b': 2}, queue=queue).get(timeout=20)";
      expect(await beside(source)).toBe('Ada: 3');
    });

    it('goes on in the trace of Python, and Python in that of its spans', async () => {
      const exporter = new InMemorySpanExporter();
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
      propagation.setGlobalPropagator(new W3CTraceContextPropagator());
      trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
      try {
        const [traceId, caller] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
        const seen = await beside(
          `app.send_task('nest.trace', queue=queue, headers={'traceparent': '00-${traceId}-${caller}-01'}).get(timeout=20)`,
        );
        const ours = (name: string) => exporter.getFinishedSpans().find((span) => span.name === name);
        const [run, sending] = [ours('process nest.trace'), ours('send py.request')];
        expect(run?.spanContext().traceId).toBe(traceId);
        expect(run?.parentSpanContext?.spanId).toBe(caller);
        expect(sending?.parentSpanContext?.spanId).toBe(run?.spanContext().spanId);
        expect(seen).toBe(`00-${traceId}-${sending?.spanContext().spanId}-01`);
      } finally {
        trace.disable();
        context.disable();
        propagation.disable();
      }
    });
  });
}
