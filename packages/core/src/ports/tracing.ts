import type { Outcome } from '../task/task-outcome.js';
import type { OutgoingMessage } from './broker.js';
import type { Execution, ExecutionControl } from './execution-pool.js';

/**
 * What a tracer is told, and where it may put its context. Absent where nobody traces: then each place costs a comparison.
 *
 * ```text
 *   caller's span ─► send (producer) ══ traceparent in the message ══► run 1 (consumer) ─ ─link─ ─ run 2 (consumer)
 *                                                                        └─► what the handler does
 * ```
 */
export interface Tracing {
  /** Around a publication: gives `publish` the messages with their context. Rejects as `publish` does. */
  sending<T>(
    messages: readonly OutgoingMessage[],
    publish: (carrying: readonly OutgoingMessage[]) => Promise<T>,
  ): Promise<T>;
  /** A message that is published together with others' work, at some later moment: the same message with its context. */
  created(message: OutgoingMessage): OutgoingMessage;
  /** Around one attempt, where its handler runs: its context is the active one. Never rejects unless `attempt` does. */
  running(execution: Execution, control: ExecutionControl, attempt: () => Promise<Outcome>): Promise<Outcome>;
}

/** Headers of W3C Trace Context: what follows a task belongs to its trace. */
export const TRACE_HEADERS = ['traceparent', 'tracestate'] as const;

/** Of a message that is to run again: the context of the attempt before, as a `traceparent`. Our own. */
export const PREVIOUS_ATTEMPT = 'taskqueue_previous_attempt';
