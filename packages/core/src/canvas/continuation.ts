import { derivedTaskId } from '../ambient/ids.js';
import type { TaskCall } from '../client/task-call.js';
import type { TaskMessage, WireSignature } from '../message/task-message.js';
import { signatures } from './signature.js';

/**
 * What is to be published when a task has ended. Pure. The ids are pre-assigned by the signature or derived from the
 * parent's id, so that publishing a continuation twice is the same as publishing it once.
 */
export function continuationOfSuccess(parent: TaskMessage, result: unknown): readonly TaskCall[] {
  const calls = (parent.callbacks ?? []).map((callback, index) =>
    follow(parent, callback, { id: derivedTaskId(parent.id, `callback/${index}`), prepend: [result] }),
  );
  const chain = parent.chain ?? [];
  const next = chain.at(-1);
  if (next === undefined) return calls;
  const step = follow(parent, next, { id: derivedTaskId(parent.id, 'chain'), prepend: [result] });
  return [...calls, { ...step, chain: chain.slice(0, -1) }];
}

/** Errbacks get the failed task's id, as Celery's do when they run as tasks. */
export function continuationOfFailure(parent: TaskMessage): readonly TaskCall[] {
  return (parent.errbacks ?? []).map((errback, index) =>
    follow(parent, errback, { id: derivedTaskId(parent.id, `errback/${index}`), prepend: [parent.id] }),
  );
}

/** Ids of the steps that will never run because this task failed; their records become FAILURE with it. */
export function abandonedSteps(parent: TaskMessage): readonly { readonly id: string; readonly task: string }[] {
  return (parent.chain ?? []).flatMap((step) => {
    const id = step.options['task_id'];
    return typeof id === 'string' ? [{ id, task: step.task }] : [];
  });
}

function follow(
  parent: TaskMessage,
  signature: WireSignature,
  { id, prepend }: { readonly id: string; readonly prepend: readonly unknown[] },
): TaskCall {
  const { options } = signature;
  return {
    task: signature.task,
    args: signature.immutable ? signature.args : [...prepend, ...signature.args],
    kwargs: signature.kwargs,
    taskId: text(options['task_id']) ?? id,
    queue: text(options['queue']),
    priority: number(options['priority']),
    countdownMs: seconds(options['countdown']),
    replyTo: text(options['reply_to']) ?? parent.replyTo,
    rootId: parent.rootId,
    parentId: parent.id,
    callbacks: signatures(options['link']),
    errbacks: signatures(options['link_error']),
    headers: {},
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function seconds(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value * 1000 : undefined;
}
