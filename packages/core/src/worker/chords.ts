import { derivedTaskId } from '../ambient/ids.js';
import { continuationOfFailure } from '../canvas/continuation.js';
import { expand } from '../canvas/expand.js';
import type { Expansion } from '../canvas/expand.js';
import type { MessageBuilder } from '../client/message-builder.js';
import type { Clock } from '../ambient/clock.js';
import type { FailureRecord } from '../errors/errors.js';
import { decodeValue } from '../message/encoded-value.js';
import type { SerializerRegistry } from '../message/serializer.js';
import type { WireSignature } from '../message/task-message.js';
import { optionalSignature } from '../message/wire-fields.js';
import type { OutgoingMessage } from '../ports/broker.js';
import type { ChordAnswer, ChordNews, ChordStore, EndedMember } from '../ports/chord-store.js';
import type { SettlementEffects } from '../ports/delivery.js';
import type { ResultRecord } from '../ports/result-backend.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { signatures } from '../canvas/signature.js';

export interface ChordsOptions {
  readonly store: ChordStore;
  readonly builder: MessageBuilder;
  readonly registry: TaskRegistry;
  readonly serializers: SerializerRegistry;
  readonly clock: Clock;
  readonly resultExpiresMs: number;
}

/** What a settlement carries when its chords were heard, and the chords to discard after it. */
export interface ChordsHeard {
  readonly effects: SettlementEffects;
  readonly completed: readonly string[];
}

/**
 * What a worker does about Celery's chords: opens those that a chain has come to, counts the members that end here, and
 * sends the body of a chord that is complete, or records its failure when a member has failed.
 */
export class Chords {
  constructor(private readonly options: ChordsOptions) {}

  /** Acts upon the news and puts what follows from it into the effects. Rejects when the store is away; may be repeated. */
  async hear(news: ChordNews, effects: SettlementEffects): Promise<ChordsHeard> {
    await this.open(news.opened);
    const results: ResultRecord[] = [];
    const publish: OutgoingMessage[] = [];
    const completed: string[] = [];
    // A body that fails is itself a member where chords are nested, so more may end on the way.
    for (const ended = [...news.ended]; ended.length > 0;) {
      const member = ended.shift() as EndedMember;
      const { body: _body, rootId: _root, replyTo: _reply, ...arriving } = member;
      const members = await this.options.store.arrive({ ...arriving, ttlMs: this.ttlMs });
      if (members === undefined) continue;
      completed.push(member.groupId);
      const failure = firstFailure(members);
      const next = failure === undefined ? this.bodyOf(member, members) : errbacksOf(member);
      await this.open(next.opened);
      publish.push(...this.build(next));
      if (failure === undefined) continue;
      results.push(...this.failed(member, failure));
      ended.push(...outerMembers(member, failure));
    }
    const { chords: _chords, ...rest } = effects;
    return {
      effects: {
        ...rest,
        results: [...(effects.results ?? []), ...results],
        publish: [...(effects.publish ?? []), ...publish],
      },
      completed,
    };
  }

  /** After the settlement. What is left behind when this fails expires. */
  async discard(completed: readonly string[]): Promise<void> {
    await Promise.all(completed.map((groupId) => this.options.store.discard(groupId)));
  }

  private async open(opened: ChordNews['opened']): Promise<void> {
    if (opened.length > 0) await this.options.store.open(opened.map((one) => ({ ...one, ttlMs: this.ttlMs })));
  }

  private bodyOf(member: EndedMember, members: NonNullable<ChordAnswer>): Expansion {
    const values = members.map(({ result }) =>
      result === undefined ? null : decodeValue(this.options.serializers, result),
    );
    return expand(member.body, {
      parent: { id: member.taskId, rootId: member.rootId, replyTo: member.replyTo },
      id: bodyId(member),
      prepend: [values],
    });
  }

  private build({ calls }: Expansion): OutgoingMessage[] {
    const { builder, registry } = this.options;
    return calls.map((call) => builder.build(call, registry.find(call.task)?.definition));
  }

  /** Every part of the body that somebody may wait for. */
  private failed(member: EndedMember, failure: FailureRecord): ResultRecord[] {
    const now = this.options.clock.now();
    return leaves(member.body).map((leaf) => ({
      taskId: text(leaf.options['task_id']) ?? bodyId(member),
      state: 'FAILURE',
      name: leaf.task,
      run: 0,
      attempts: 0,
      rootId: member.rootId,
      parentId: member.taskId,
      ...(member.replyTo === '' ? {} : { replyTo: member.replyTo }),
      failure,
      createdAt: now,
      doneAt: now,
      ...(this.ttlMs === undefined ? {} : { expiresAt: now + this.ttlMs }),
    }));
  }

  private get ttlMs(): number | undefined {
    const { resultExpiresMs } = this.options;
    return resultExpiresMs === 0 ? undefined : resultExpiresMs;
  }
}

function firstFailure(members: NonNullable<ChordAnswer>): FailureRecord | undefined {
  const failed = members.find(({ failure }) => failure !== undefined);
  if (failed?.failure === undefined) return undefined;
  const { type, message } = failed.failure;
  return {
    type: 'ChordError',
    module: 'celery.exceptions',
    message: `Dependency ${failed.taskId} raised ${type}(${JSON.stringify(message)})`,
  };
}

/** The body never ran: its errbacks hear of it. */
function errbacksOf(member: EndedMember): Expansion {
  const parts = leaves(member.body).map(({ options }) =>
    continuationOfFailure({
      id: text(options['task_id']) ?? bodyId(member),
      rootId: member.rootId,
      replyTo: member.replyTo,
      errbacks: signatures(options['link_error']),
    }),
  );
  return { calls: parts.flatMap(({ calls }) => calls), opened: parts.flatMap(({ opened }) => opened) };
}

function outerMembers(member: EndedMember, failure: FailureRecord): EndedMember[] {
  return leaves(member.body).flatMap(({ options }) => {
    const body = optionalSignature(options, 'chord');
    const groupId = text(options['group_id']);
    if (body === undefined || groupId === undefined) return [];
    const index = options['group_index'];
    return [
      {
        groupId,
        index: typeof index === 'number' ? index : undefined,
        taskId: text(options['task_id']) ?? bodyId(member),
        state: 'FAILURE',
        failure,
        body,
        rootId: member.rootId,
        replyTo: member.replyTo,
      },
    ];
  });
}

/** The tasks of a body that run as such. */
function leaves(body: WireSignature): readonly WireSignature[] {
  const inner = body.kwargs[body.task === 'celery.chord' ? 'body' : 'tasks'];
  if (!/^celery\.(chain|group|chord)$/.test(body.task)) return [body];
  return signatures(inner).flatMap(leaves);
}

function bodyId({ groupId, body }: EndedMember): string {
  return text(body.options['task_id']) ?? derivedTaskId(groupId, 'body');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
