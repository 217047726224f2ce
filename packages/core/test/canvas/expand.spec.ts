import { describe, expect, it } from 'vitest';
import { expand } from '../../src/canvas/expand.js';
import type { WireSignature } from '../../src/message/task-message.js';
import { wireFixture } from '../message/wire-fixtures.js';

const parent = { id: 'parent', rootId: 'root', replyTo: 'caller' };

function sig(task: string, args: unknown[] = [], options: Record<string, unknown> = {}): WireSignature {
  return { task, args, kwargs: {}, options, subtask_type: null, immutable: false };
}

function compound(
  kind: 'chain' | 'group',
  tasks: WireSignature[],
  options: Record<string, unknown> = {},
): WireSignature {
  return { ...sig(`celery.${kind}`, [], options), kwargs: { tasks }, subtask_type: kind };
}

function chord(header: WireSignature, body: WireSignature): WireSignature {
  return { ...sig('celery.chord'), kwargs: { header, body, kwargs: {} }, subtask_type: 'chord' };
}

const place = { parent, id: 'derived', prepend: [1] };

/** The next step of a captured chain. */
function capturedStep(name: string): WireSignature {
  const [, , embed] = wireFixture(name).body as [unknown, unknown, { chain: WireSignature[] }];
  return embed.chain.at(-1) as WireSignature;
}

describe('a signature', () => {
  it('expires so many seconds after it was sent, or at an instant', () => {
    const [later] = expand(sig('add', [], { expires: 60 }), place).calls;
    expect(later).toMatchObject({ expires: undefined, expiresMs: 60_000 });
    const [then] = expand(sig('add', [], { expires: '2030-01-01T00:00:00Z' }), place).calls;
    expect(then).toMatchObject({ expires: Date.UTC(2030, 0, 1), expiresMs: undefined });
  });

  it('that is plain is one call, with its options and the lineage of what caused it', () => {
    const options = { task_id: 'own', queue: 'q', countdown: 2, time_limit: 3, headers: { a: 1 }, link: sig('next') };
    const { calls, opened } = expand(sig('add', [2], options), place);
    expect(opened).toEqual([]);
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({
      task: 'add',
      args: [1, 2],
      taskId: 'own',
      queue: 'q',
      countdownMs: 2_000,
      timeLimitMs: 3_000,
      headers: { a: 1 },
      callbacks: [sig('next')],
      rootId: 'root',
      parentId: 'parent',
      replyTo: 'caller',
    });
  });

  it('of a chain is its first step, which carries the others, the next one last', () => {
    const { calls } = expand(compound('chain', [sig('a'), sig('b'), sig('c')]), { ...place, chain: [sig('z')] });
    expect(calls.map(({ task, args }) => [task, args])).toEqual([['a', [1]]]);
    expect(calls[0]?.chain?.map(({ task }) => task)).toEqual(['z', 'c', 'b']);
  });

  it('of a group is its members; of a group before other steps, a chord', () => {
    const group = compound('group', [sig('a'), compound('group', [sig('b')])], { task_id: 'g' });
    const plain = expand(group, place);
    expect(plain.calls.map(({ task, group: id, groupIndex, chord: body }) => [task, id, groupIndex, body])).toEqual([
      ['a', 'g', 0, undefined],
      ['b', 'g', 1, undefined],
    ]);
    expect(plain.opened).toEqual([]);
    const followed = expand(group, { ...place, chain: [sig('z'), sig('y')] });
    expect(followed.opened).toEqual([{ groupId: 'g', size: 2 }]);
    expect(followed.calls[0]?.chord).toMatchObject({ task: 'celery.chain', kwargs: { tasks: [sig('y'), sig('z')] } });
  });

  it('of a chord in a chord: the inner body is the member of the outer one', () => {
    const inner = chord(compound('group', [sig('i')], { task_id: 'inner' }), sig('innerBody', [], { task_id: 'ib' }));
    const outer = chord(compound('group', [sig('o'), inner], { task_id: 'outer' }), sig('outerBody'));
    const { calls, opened } = expand(outer, place);
    expect(opened).toEqual([
      { groupId: 'outer', size: 2 },
      { groupId: 'inner', size: 1 },
    ]);
    expect(calls.map(({ task, group, chord: body }) => [task, group, body?.task])).toEqual([
      ['o', 'outer', 'outerBody'],
      ['i', 'inner', 'innerBody'],
    ]);
    expect(calls[1]?.chord?.options).toMatchObject({ group_id: 'outer', group_index: 1, chord: { task: 'outerBody' } });
  });

  it('of a chord of chains: the last step of each is the member', () => {
    const header = compound('group', [compound('chain', [sig('a'), sig('b')])], { task_id: 'g' });
    const [first] = expand(chord(header, sig('body')), place).calls;
    expect([first?.task, first?.group, first?.chord]).toEqual(['a', undefined, undefined]);
    expect(first?.chain?.[0]?.options).toMatchObject({ group_id: 'g', group_index: 0, chord: { task: 'body' } });
  });

  it('of a chord without members sends the body an empty list', () => {
    const { calls, opened } = expand(chord(compound('group', []), sig('body')), place);
    expect(calls.map(({ task, args }) => [task, args])).toEqual([['body', [[]]]]);
    expect(opened).toEqual([]);
  });

  it('derives the same ids each time where it brings none', () => {
    const once = expand(compound('group', [sig('a'), sig('b')]), place).calls;
    const ids = once.map(({ taskId }) => taskId);
    expect(new Set(ids).size).toBe(2);
    expect(expand(compound('group', [sig('a'), sig('b')]), place).calls.map(({ taskId }) => taskId)).toEqual(ids);
  });

  it('as Celery sent it: a chord in the middle of a chain', () => {
    const { calls, opened } = expand(capturedStep('amqp/canvas_chain_group_middle'), { ...place, chain: [] });
    expect(opened).toEqual([{ groupId: '3c5bef69-0b75-4614-af19-ae2b29b095f7', size: 2 }]);
    expect(calls.map(({ task, args, groupIndex }) => [task, args, groupIndex])).toEqual([
      ['interop.add', [1, 1], 0],
      ['interop.add', [1, 2], 1],
    ]);
    for (const call of calls)
      expect(call).toMatchObject({ group: opened[0]?.groupId, chord: { task: 'interop.tsum' } });
  });

  it('as Celery sent it: a group at the end of a chain', () => {
    const { calls } = expand(capturedStep('amqp/canvas_chain_group_last'), { ...place, chain: [] });
    const group = 'af02e027-eb85-4081-8b7e-0500281f953b';
    expect(calls.map((call) => [call.task, call.group, call.groupIndex])).toEqual([
      ['interop.add', group, 0],
      ['interop.mul', group, 1],
    ]);
  });

  it('that holds something else than signatures is refused', () => {
    const broken = { ...compound('group', []), kwargs: { tasks: [7] } };
    expect(() => expand(broken, place)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }) as Error);
  });
});
