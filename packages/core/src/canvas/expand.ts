import { derivedTaskId } from '../ambient/ids.js';
import type { TaskCall } from '../client/task-call.js';
import type { TaskMessage, WireSignature } from '../message/task-message.js';
import { optionalSignature, optionalSignatures } from '../message/wire-fields.js';
import type { ChordNews } from '../ports/chord-store.js';
import { TRACE_HEADERS } from '../ports/tracing.js';
import { number, signatureCall, text } from './signature-options.js';
import { signatures } from './signature.js';

/** What a signature comes to: calls to publish, and chords to open before. */
export interface Expansion {
  readonly calls: readonly TaskCall[];
  readonly opened: ChordNews['opened'];
}

/** Where a signature stands. */
export interface Place {
  /** Whose end caused it. */
  readonly parent: Lineage;
  /** For a task that brings no id; what is below it derives its ids from this one, so that sending it twice is sending it once. */
  readonly id: string;
  /** Put before its arguments, unless it is immutable. */
  readonly prepend: readonly unknown[];
  /** The steps that follow it, the next one last. */
  readonly chain?: readonly WireSignature[];
  readonly member?: Membership;
}

export type Lineage = Pick<TaskMessage, 'id' | 'rootId' | 'replyTo'> & Partial<Pick<TaskMessage, 'customHeaders'>>;

/** Of a group, and of a chord where it has a body. */
export interface Membership {
  readonly groupId: string;
  readonly index: number;
  readonly body: WireSignature | undefined;
}

/**
 * Takes Celery's compound signatures apart, as its workers do when they come to one in a chain or a link. Pure. Throws
 * DECODE_FAILED for one that holds something else than signatures.
 *
 * ```text
 *   chain   first step, the others in its message             the last one inherits the place's membership
 *   group   its members; steps that follow make it a chord
 *   chord   its header's members, with the body in each       steps that follow become part of the body
 *   other   one call
 * ```
 */
export function expand(signature: WireSignature, place: Place): Expansion {
  switch (signature.task) {
    case 'celery.chain':
      return expandChain(signature, place);
    case 'celery.group':
      return expandGroup(signature, place);
    case 'celery.chord':
      return expandChord(signature, place);
    default:
      return { calls: [plainCall(signature, place)], opened: [] };
  }
}

function expandChain(signature: WireSignature, place: Place): Expansion {
  const { chain = [], member } = place;
  const steps = [...tasksOf(signature)];
  const last = steps.pop();
  if (last === undefined) return NOTHING;
  // Where more steps follow, the membership is theirs already.
  steps.push(member === undefined || chain.length > 0 ? last : joined(last, member));
  const [first, ...rest] = steps as [WireSignature, ...WireSignature[]];
  return expand(first, {
    parent: place.parent,
    id: place.id,
    prepend: argumentsOf(signature, place),
    chain: [...chain, ...rest.reverse()],
  });
}

function expandGroup(signature: WireSignature, place: Place): Expansion {
  const { chain = [] } = place;
  if (chain.length > 0) {
    const body: WireSignature = { ...EMPTY_CHAIN, kwargs: { tasks: [...chain].reverse() } };
    return expandMembers(
      tasksOf(signature),
      { ...place, chain: [], groupId: groupIdOf(signature, place), body },
      signature,
    );
  }
  const groupId = groupIdOf(signature, place);
  return expandMembers(tasksOf(signature), { ...place, groupId, body: undefined }, signature);
}

function expandChord(signature: WireSignature, place: Place): Expansion {
  const { chain = [], member } = place;
  const header = optionalSignatures(signature.kwargs, 'header') ?? [];
  const given = optionalSignature(signature.kwargs, 'body');
  if (given === undefined) return expandMembers(header, { ...place, groupId: place.id, body: undefined }, signature);
  const own = member === undefined ? given : joined(given, member);
  const body = chain.length === 0 ? own : { ...EMPTY_CHAIN, kwargs: { tasks: [own, ...[...chain].reverse()] } };
  const [only] = header;
  const groupId =
    text(only?.task === 'celery.group' ? only.options['task_id'] : undefined) ?? groupIdOf(signature, place);
  const { member: _own, ...outer } = place;
  return expandMembers(header, { ...outer, chain: [], groupId, body }, signature);
}

/** Members of groups within are members of the whole. Nobody would send the body of a chord without any, so that goes at once. */
function expandMembers(
  listed: readonly WireSignature[],
  place: Place & { readonly groupId: string; readonly body: WireSignature | undefined },
  signature: WireSignature,
): Expansion {
  const { parent, groupId, body } = place;
  const members = listed.flatMap(flat);
  const prepend = argumentsOf(signature, place);
  if (members.length === 0 && body !== undefined) {
    return expand(body, { parent, id: derivedTaskId(place.id, 'body'), prepend: [[]] });
  }
  const parts = members.map((one, index) =>
    expand(one, {
      parent,
      id: derivedTaskId(place.id, `member/${index}`),
      prepend,
      member: place.member ?? { groupId, index, body },
    }),
  );
  const size = members.reduce((sum, one) => sum + sizeOf(one), 0);
  return {
    calls: parts.flatMap(({ calls }) => calls),
    opened: [...(body === undefined ? [] : [{ groupId, size }]), ...parts.flatMap(({ opened }) => opened)],
  };
}

function plainCall(signature: WireSignature, place: Place): TaskCall {
  const { options } = signature;
  const { parent, member } = place;
  const own = signatureCall(options);
  return {
    ...own,
    task: signature.task,
    args: argumentsOf(signature, place),
    kwargs: signature.kwargs,
    taskId: own.taskId ?? place.id,
    replyTo: text(options['reply_to']) ?? parent.replyTo,
    rootId: parent.rootId,
    parentId: parent.id,
    callbacks: signatures(options['link']),
    errbacks: signatures(options['link_error']),
    chain: place.chain ?? [],
    group: text(options['group_id']) ?? member?.groupId,
    groupIndex: number(options['group_index']) ?? member?.index,
    chord: optionalSignature(options, 'chord') ?? member?.body,
    headers: { ...traceOf(parent), ...own.headers },
  };
}

/** A signature that is a member. What it says itself stays. */
function joined(signature: WireSignature, { groupId, index, body }: Membership): WireSignature {
  const options = {
    group_id: groupId,
    group_index: index,
    ...(body === undefined ? {} : { chord: body }),
    ...signature.options,
  };
  // Of compound ones the last part is the member.
  if (signature.task === 'celery.chain') {
    const steps = [...tasksOf(signature)];
    const last = steps.pop();
    if (last === undefined) return signature;
    return { ...signature, kwargs: { ...signature.kwargs, tasks: [...steps, joined(last, { groupId, index, body })] } };
  }
  if (signature.task === 'celery.chord') {
    const inner = optionalSignature(signature.kwargs, 'body');
    if (inner === undefined) return signature;
    return { ...signature, kwargs: { ...signature.kwargs, body: joined(inner, { groupId, index, body }) } };
  }
  return { ...signature, options };
}

/** How many members of a chord a signature is, as Celery counts. */
function sizeOf(signature: WireSignature): number {
  if (signature.task === 'celery.group') return tasksOf(signature).reduce((sum, one) => sum + sizeOf(one), 0);
  if (signature.task === 'celery.chain') {
    const last = tasksOf(signature).at(-1);
    return last === undefined ? 0 : sizeOf(last);
  }
  if (signature.task !== 'celery.chord') return 1;
  const body = optionalSignature(signature.kwargs, 'body');
  return body === undefined ? 1 : sizeOf(body);
}

function flat(signature: WireSignature): readonly WireSignature[] {
  return signature.task === 'celery.group' ? tasksOf(signature).flatMap(flat) : [signature];
}

function tasksOf(signature: WireSignature): readonly WireSignature[] {
  return optionalSignatures(signature.kwargs, 'tasks') ?? [];
}

function argumentsOf({ immutable, args }: WireSignature, { prepend }: Place): readonly unknown[] {
  return immutable ? args : [...prepend, ...args];
}

function groupIdOf({ options }: WireSignature, { id }: Place): string {
  return text(options['task_id']) ?? text(options['group_id']) ?? derivedTaskId(id, 'group');
}

const NOTHING: Expansion = { calls: [], opened: [] };

const EMPTY_CHAIN = {
  task: 'celery.chain',
  args: [],
  options: {},
  subtask_type: 'chain',
  immutable: false,
} as const;

/** Whether or not somebody traces here: others may. */
function traceOf({ customHeaders }: Lineage): Readonly<Record<string, unknown>> {
  if (customHeaders === undefined) return {};
  const present = TRACE_HEADERS.filter((name) => customHeaders[name] !== undefined);
  return Object.fromEntries(present.map((name) => [name, customHeaders[name]]));
}
