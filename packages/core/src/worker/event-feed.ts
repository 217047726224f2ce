import type { ClusterEventPayloads, ClusterEventType, ExceptionText } from '../events/cluster-event.js';
import type { FailureRecord } from '../errors/errors.js';
import { celeryException } from '../message/celery-exception.js';
import { DEFAULT_MAX_FAILURE_STACK } from '../message/failure.js';
import { pythonRepr } from '../message/python-repr.js';
import type { TaskFacts, WorkerEvent, WorkerListener } from './worker-events.js';
import { UNREADABLE } from './worker-events.js';

/** Where events are told to the cluster. */
export interface EventSink {
  emit<T extends ClusterEventType>(type: T, payload: ClusterEventPayloads[T]): void;
}

/**
 * From what a worker tells in its own process to what Celery's workers tell the cluster. What was refused and is recorded as
 * a failure is one there, too, so that monitors and results say the same.
 */
export function eventFeed(sink: EventSink): WorkerListener {
  return (event) => {
    if (!('task' in event) || event.task.id === UNREADABLE) return;
    tell(sink, event);
  };
}

type TaskEvent = Extract<WorkerEvent, { readonly task: TaskFacts }>;

function tell(sink: EventSink, event: TaskEvent): void {
  const { task } = event;
  const { id } = task;
  switch (event.type) {
    case 'task-received':
      return sink.emit('task-received', description(task));
    case 'task-started':
      return sink.emit('task-started', { id });
    case 'task-succeeded':
      return sink.emit('task-succeeded', { id, result: pythonRepr(event.value), runtimeMs: event.runtimeMs });
    case 'task-failed':
      return sink.emit('task-failed', { id, ...exceptionText(event.failure) });
    case 'task-retried':
      return sink.emit('task-retried', { id, ...exceptionText(event.failure) });
    case 'task-rejected':
      return event.failure === undefined
        ? sink.emit('task-rejected', { id, requeue: event.requeue })
        : sink.emit('task-failed', { id, ...exceptionText(event.failure) });
    case 'task-revoked': {
      const [terminated, expired] = [event.reason === 'terminated', event.reason === 'expired'];
      return sink.emit('task-revoked', { id, terminated, signum: undefined, expired });
    }
    case 'task-snoozed':
      return sink.emit('task-snoozed', { id, delayMs: event.delayMs });
    case 'task-ignored':
      return sink.emit('task-ignored', { id });
    case 'task-interrupted':
      return sink.emit('task-interrupted', { id });
    case 'task-crashed':
      return sink.emit('task-crashed', { id, reason: event.reason });
    default:
      return undefined;
  }
}

function description({ id, name, message }: TaskFacts): ClusterEventPayloads['task-received'] {
  const { args, kwargs } = message ?? {};
  return {
    id,
    name: message?.shadow ?? name,
    args: message?.argsRepr ?? (args && pythonRepr(args, { tuple: true })),
    kwargs: message?.kwargsRepr ?? (kwargs && pythonRepr(kwargs)),
    rootId: message?.rootId,
    parentId: message?.parentId,
    retries: message?.retries,
    eta: message?.eta,
    expires: message?.expires,
  };
}

function exceptionText(failure: FailureRecord | undefined): ExceptionText {
  if (failure === undefined) return { exception: undefined, traceback: undefined };
  const { exc_type: type, exc_message: args } = celeryException(failure);
  return {
    exception: `${type}(${args.map((arg) => pythonRepr(arg)).join(', ')})`,
    traceback: failure.stack?.slice(0, DEFAULT_MAX_FAILURE_STACK),
  };
}
