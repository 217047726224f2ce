import type { Context, Link, Span, TextMapGetter, Tracer } from '@opentelemetry/api';
import type { Execution, ExecutionControl, Outcome, OutgoingMessage, Tracing } from '@taskqueue/core';
import { PREVIOUS_ATTEMPT } from '@taskqueue/core';
import { spanContextFrom, traceparentOf } from './traceparent.js';

/** What we use of `@opentelemetry/api`. */
export type OpenTelemetry = Pick<
  typeof import('@opentelemetry/api'),
  'context' | 'propagation' | 'ProxyTracerProvider' | 'ROOT_CONTEXT' | 'SpanKind' | 'SpanStatusCode' | 'trace'
>;

/** Name of the instrumentation. */
const SCOPE = '@taskqueue/nestjs';

/** Senders are not of this program: only text is a context. */
const HEADERS: TextMapGetter<Readonly<Record<string, unknown>>> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, name) => {
    const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
    return typeof value === 'string' ? value : undefined;
  },
};

/**
 * The tracer of this process, where `@opentelemetry/api` is installed and a provider was registered before the
 * application began; undefined otherwise, and then nothing is asked ever again.
 */
export async function findTracing(
  load: () => Promise<OpenTelemetry> = () => import('@opentelemetry/api'),
): Promise<Tracing | undefined> {
  let api: OpenTelemetry;
  try {
    api = await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
  const provider = api.trace.getTracerProvider();
  const isRegistered =
    !(provider instanceof api.ProxyTracerProvider) || provider.getDelegateTracer(SCOPE) !== undefined;
  return isRegistered ? new OpenTelemetryTracing(api) : undefined;
}

/**
 * Spans by the semantic conventions for messaging: a producer span for each message that is sent, a consumer span for each
 * attempt, whose parent is the producer's, with a link to the attempt before. The context is in the message's headers, where
 * the instrumentation of Celery puts it, so that traces go from Python to here and back.
 */
export class OpenTelemetryTracing implements Tracing {
  private readonly tracer: Tracer;

  constructor(private readonly api: OpenTelemetry) {
    this.tracer = api.trace.getTracer(SCOPE);
  }

  async sending<T>(
    messages: readonly OutgoingMessage[],
    publish: (carrying: readonly OutgoingMessage[]) => Promise<T>,
  ): Promise<T> {
    const sent = messages.map((message) => this.send(message));
    try {
      return await publish(sent.map(({ message }) => message));
    } catch (error) {
      for (const { span } of sent) this.fail(span, error);
      throw error;
    } finally {
      for (const { span } of sent) span.end();
    }
  }

  created(outgoing: OutgoingMessage): OutgoingMessage {
    const { message, span } = this.send(outgoing);
    span.end();
    return message;
  }

  async running(execution: Execution, control: ExecutionControl, attempt: () => Promise<Outcome>): Promise<Outcome> {
    const { api } = this;
    const { message, queue, run, attempt: number } = execution;
    const headers = message.customHeaders;
    // Not what is active here: that may be of whoever woke the worker.
    const parent = api.propagation.extract(api.ROOT_CONTEXT, headers, HEADERS);
    const attributes = {
      ...described({ operation: 'process', id: message.id, task: message.task, queue }),
      'taskqueue.attempt': number,
      'taskqueue.run': run,
    };
    const options = { kind: api.SpanKind.CONSUMER, attributes, links: previousAttempt(headers) };
    const span = this.tracer.startSpan(`process ${message.task}`, options, parent);
    control.traced?.(traceparentOf(span.spanContext()));
    try {
      const outcome = await api.context.with(api.trace.setSpan(parent, span), attempt);
      this.conclude(span, outcome);
      return outcome;
    } finally {
      span.end();
    }
  }

  private send(outgoing: OutgoingMessage): { readonly message: OutgoingMessage; readonly span: Span } {
    const { api } = this;
    const { id, task, queue, message } = outgoing;
    const attributes = described({ operation: 'send', id, task, queue });
    const parent = this.parentOf(message.headers);
    const span = this.tracer.startSpan(`send ${task}`, { kind: api.SpanKind.PRODUCER, attributes }, parent);
    const carrier: Record<string, string> = {};
    api.propagation.inject(api.trace.setSpan(parent, span), carrier);
    return { span, message: { ...outgoing, message: { ...message, headers: { ...message.headers, ...carrier } } } };
  }

  /** The caller's span; else what the caller put into the headers. */
  private parentOf(headers: Readonly<Record<string, unknown>>): Context {
    const { api } = this;
    const active = api.context.active();
    return api.trace.getSpan(active) === undefined ? api.propagation.extract(active, headers, HEADERS) : active;
  }

  private conclude(span: Span, outcome: Outcome): void {
    span.setAttribute('taskqueue.outcome', outcome.kind);
    switch (outcome.kind) {
      case 'failed':
        return this.fail(span, outcome.error);
      case 'rejected':
        return this.fail(span, outcome.error ?? outcome.reason);
      case 'retry':
        // Asked for: no error of the attempt, but worth to be seen.
        if (outcome.options.cause !== undefined) span.recordException(exceptionOf(outcome.options.cause));
        return undefined;
      default:
        return undefined;
    }
  }

  private fail(span: Span, error: unknown): void {
    const exception = exceptionOf(error);
    span.recordException(exception);
    span.setStatus({ code: this.api.SpanStatusCode.ERROR, message: exception.message });
  }
}

function described(of: {
  readonly operation: string;
  readonly id: string;
  readonly task: string;
  readonly queue: string;
}) {
  return {
    'messaging.system': 'celery',
    'messaging.operation.name': of.operation,
    'messaging.operation.type': of.operation,
    'messaging.destination.name': of.queue,
    'messaging.message.id': of.id,
    'taskqueue.task': of.task,
  };
}

function previousAttempt(headers: Readonly<Record<string, unknown>>): Link[] {
  const context = spanContextFrom(HEADERS.get(headers, PREVIOUS_ATTEMPT) as string | undefined);
  return context === undefined ? [] : [{ context, attributes: { 'taskqueue.link': 'previous attempt' } }];
}

function exceptionOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
