import { derivedTaskId } from '../ambient/ids.js';
import type { TaskMessage, WireSignature } from '../message/task-message.js';
import { optionalSignature } from '../message/wire-fields.js';
import type { EndedMember } from '../ports/chord-store.js';
import type { Expansion, Lineage } from './expand.js';
import { expand } from './expand.js';

/** Is anything to follow when the task succeeds? */
export function hasContinuation({ callbacks, chain }: TaskMessage): boolean {
  return callbacks !== undefined || chain !== undefined;
}

/**
 * What is to be published when a task has ended. Pure. The ids are pre-assigned by the signature or derived from the
 * parent's id, so that publishing a continuation twice is the same as publishing it once.
 */
export function continuationOfSuccess(parent: TaskMessage, result: unknown): Expansion {
  if (!hasContinuation(parent)) return NOTHING;
  const { callbacks, chain } = parent;
  const linked = (callbacks ?? []).map((callback, index) =>
    expand(callback, { parent, id: derivedTaskId(parent.id, `callback/${index}`), prepend: [result] }),
  );
  const next = chain?.at(-1);
  if (chain === undefined || next === undefined) return together(linked);
  const id = derivedTaskId(parent.id, 'chain');
  const step = expand(next, { parent, id, prepend: [result], chain: chain.slice(0, -1) });
  return together([...linked, step]);
}

/** Errbacks get the failed task's id, as Celery's do when they run as tasks. */
export function continuationOfFailure(parent: Lineage & Pick<TaskMessage, 'errbacks'>): Expansion {
  if (parent.errbacks === undefined) return NOTHING;
  return together(
    parent.errbacks.map((errback, index) =>
      expand(errback, { parent, id: derivedTaskId(parent.id, `errback/${index}`), prepend: [parent.id] }),
    ),
  );
}

/** Ids of the steps that will never run because this task failed; their records become FAILURE with it. */
export function abandonedSteps(parent: TaskMessage): readonly { readonly id: string; readonly task: string }[] {
  return (parent.chain ?? []).flatMap(abandoned);
}

/** Of a chord also its body, which is what somebody may wait for. */
function abandoned(step: WireSignature): { readonly id: string; readonly task: string }[] {
  const id = step.options['task_id'];
  const body = step.task === 'celery.chord' ? optionalSignature(step.kwargs, 'body') : undefined;
  const own = typeof id === 'string' ? [{ id, task: step.task }] : [];
  return body === undefined ? own : [...own, ...abandoned(body)];
}

type End = Pick<EndedMember, 'state' | 'result' | 'failure'>;

/**
 * The members of chords that have ended with a task: itself, and with a failure also the last step of its chain, which
 * would have been the member.
 */
export function membersEnded(task: TaskMessage, end: End): readonly EndedMember[] {
  const { id: taskId, group, groupIndex: index, chord: body, rootId, replyTo } = task;
  const lineage = { rootId, replyTo, ...end };
  const own = body === undefined || group === undefined ? [] : [{ ...lineage, groupId: group, index, taskId, body }];
  if (end.failure === undefined || task.chain === undefined) return own;
  const unreached = task.chain.flatMap(({ options }) => {
    const { task_id: id, group_id: groupId, group_index: place } = options;
    const chord = optionalSignature(options, 'chord');
    if (chord === undefined || typeof groupId !== 'string' || typeof id !== 'string') return [];
    return [{ ...lineage, groupId, index: typeof place === 'number' ? place : undefined, taskId: id, body: chord }];
  });
  return [...own, ...unreached];
}

const NOTHING: Expansion = { calls: [], opened: [] };

function together(parts: readonly Expansion[]): Expansion {
  return { calls: parts.flatMap(({ calls }) => calls), opened: parts.flatMap(({ opened }) => opened) };
}
