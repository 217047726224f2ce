// A tracer whose finished spans are lines of a file, for programs whose spans a test reads.
import { appendFileSync } from 'node:fs';
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

export function writeSpans(file) {
  const exporter = {
    export(spans, done) {
      for (const span of spans) appendFileSync(file, `${JSON.stringify(described(span))}\n`);
      done({ code: 0 });
    },
    shutdown: () => Promise.resolve(),
  };
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
}

function described(span) {
  const { traceId, spanId } = span.spanContext();
  const links = span.links.map((link) => link.context.spanId);
  return { name: span.name, traceId, spanId, parent: span.parentSpanContext?.spanId, links, pid: process.pid };
}
