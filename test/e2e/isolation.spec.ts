import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeScenes, GET, PoolScene } from './pool-scene.js';

afterEach(closeScenes);

const POOLS = ['async', 'solo', 'threads', 'prefork'] as const;

/** Row of the table in docs/pools.md → the task that does it. */
const DEEDS = {
  '`process.exit()` in a handler': 'exit',
  'an error that nobody catches': 'throwLate',
  'a crash in native code, a signal': 'crash',
} as const;

/** What the page says of each deed in each pool. */
function claims(): [pool: string, task: string, claim: string][] {
  const rows = readFileSync('docs/pools.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('**', '')),
    );
  const [, ...pools] = rows[0] as string[];
  expect(pools).toEqual(POOLS.map((pool) => `\`${pool}\``));
  return Object.entries(DEEDS).flatMap(([title, task]) => {
    const [, ...cells] = rows.find(([first]) => first === title) ?? [];
    return POOLS.map((pool, index): [string, string, string] => [pool, task, cells[index] ?? 'is not in the table']);
  });
}

const open = async (pool: string, env: Record<string, string> = {}): Promise<PoolScene> =>
  (await PoolScene.open(['--pool', pool, ...(pool === 'solo' ? [] : ['-c', '2'])], env)).runs();

describe('docs/pools.md is right that', () => {
  it.each(claims())('in the pool %s the task %s %s', async (pool, task, claim) => {
    // The first loss is the last: what matters is who else is lost.
    const scene = await open(pool, { TASKQUEUE_WORKER_MAX_LOST: '1' });
    const deed = await scene.send(task);
    if (claim === 'ends the worker') {
      expect(await scene.exitCode()).not.toBe(0);
      return;
    }
    expect(claim).toBe(`costs the task its ${pool === 'threads' ? 'thread' : 'process'}`);
    await expect(deed.get(GET)).rejects.toMatchObject({ code: 'WORKER_LOST' });
    expect(await scene.run('greet', ['survivor'])).toBe('Hello survivor!');
    expect([scene.worker.exitCode, scene.worker.signalCode]).toEqual([null, null]);
  });

  it('a task whose threads are gone with their worker comes back after its lease', async () => {
    const scene = await open('threads', { TASKQUEUE_WORKER_LEASE: '2s', TASKQUEUE_WORKER_TRACK_STARTED: 'true' });
    const other = await scene.send('nap', [6_000]);
    await eventually(async () => expect(await other.state()).toBe('STARTED'));
    await scene.send('crash');
    expect(await scene.exitCode()).toBe('SIGSEGV');
    await scene.another(['--pool', 'prefork', '-c', '2']);
    expect(await other.get(GET)).toBe(6_000);
    expect((await other.record())?.attempts).toBe(2);
  });

  it.each([
    ['threads', true],
    ['prefork', false],
  ])('%s share file descriptors and may not change the folder: %s', async (pool, isShared) => {
    const scene = await open(pool);
    await eventually(() => expect(scene.output.split('an application has booted')).toHaveLength(4), 25_000);
    const file = join(scene.folder, 'secret');
    writeFileSync(file, 'words');
    const opening = await scene.send('open', [file]);
    const { fd, at } = (await opening.get(GET)) as { fd: number; at: unknown };
    // In the thread that opened the file; so it is another one that reads.
    await scene.send('open', [file]);
    const reading = await scene.send('read', [fd]);
    const changing = await scene.send('chdir');
    const aborting = isShared ? await scene.send('abort') : undefined;
    if (isShared) {
      const read = (await reading.get(GET)) as { text: string; at: unknown };
      expect(read.text).toBe('words');
      expect(read.at).not.toEqual(at);
      await expect(changing.get(GET)).rejects.toThrow('process.chdir() is not supported in workers');
      await expect(aborting?.get(GET)).rejects.toThrow('process.abort() is not supported in workers');
    } else {
      await expect(reading.get(GET)).rejects.toThrow();
      expect(await changing.get(GET)).toBe('/');
    }
  });
});
