import type { ChordAnswer, ChordMember, ChordOpening, ChordStore, TaskState } from '@taskqueue/core';
import { celeryException, failureFromCelery } from '@taskqueue/core';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';

/**
 * Chords as Celery's Redis backend counts them, with `result_chord_ordered` as it is by default. Not in a cluster, where
 * the keys of a chord are in different slots, and Celery is not.
 */
export class RedisChords implements ChordStore {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
  ) {}

  async open(chords: readonly ChordOpening[]): Promise<void> {
    await Promise.all(
      chords.map(({ groupId, size, ttlMs }) => {
        const [, key] = this.keys.chord(groupId);
        const expiry = ttlMs === undefined ? [] : ['px', Math.ceil(ttlMs)];
        return this.connection.command('set', key, size, ...expiry);
      }),
    );
  }

  async arrive(member: ChordMember): Promise<ChordAnswer> {
    const { groupId, index, taskId, ttlMs } = member;
    const ttl = ttlMs === undefined ? '' : Math.ceil(ttlMs);
    const args = [index ?? '+inf', memberText(member), taskId, ttl];
    const reply = await this.connection.run('chord-arrive', [...this.keys.chord(groupId)], args);
    return reply === null ? undefined : (reply as string[]).map(readMember);
  }

  async discard(groupId: string): Promise<void> {
    await this.connection.command('unlink', ...this.keys.chord(groupId));
  }
}

const JSON_CONTENT = { contentType: 'application/json', contentEncoding: 'utf-8' } as const;

/** Spaced as Python spaces it. What did not succeed but has no exception is no value either. */
function memberText({ taskId, state, result, failure }: ChordMember): string {
  const value = failure === undefined ? (result?.text ?? 'null') : JSON.stringify(celeryException(failure));
  return `[1, ${JSON.stringify(taskId)}, ${JSON.stringify(celeryState(state))}, ${value}]`;
}

/** States of ours that Celery does not know. */
function celeryState(state: TaskState): string {
  if (state === 'REJECTED') return 'FAILURE';
  return state === 'IGNORED' ? 'SUCCESS' : state;
}

const MEMBER = /^\[\s*1\s*,\s*("(?:[^"\\]|\\.)*")\s*,\s*("(?:[^"\\]|\\.)*")\s*,/;

/** The value is kept to the letter: Python's JSON has values that ours has not. */
function readMember(text: string): NonNullable<ChordAnswer>[number] {
  const match = MEMBER.exec(text);
  const taskId = match === null ? '' : (JSON.parse(match[1] as string) as string);
  const state = match === null ? 'FAILURE' : (JSON.parse(match[2] as string) as TaskState);
  const value = match === null ? 'null' : text.slice(match[0].length, text.lastIndexOf(']')).trim();
  if (state === 'SUCCESS') return { taskId, state, result: { ...JSON_CONTENT, text: value } };
  return { taskId, state, failure: failureFromCelery(parsed(value)) };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
