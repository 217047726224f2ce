import { randomUUID } from 'node:crypto';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import type { BrokerName, Scene } from './scene.js';
import { Scene as OpenScene } from './scene.js';

/** Queues that both sides use, and who comes first. */
export function sharingScenarios(scene: () => Scene): void {
  const fresh = (): string => `${scene().name}.${randomUUID().slice(0, 8)}`;

  describe('a queue', () => {
    it.concurrent('Python sends to a queue of Node before its first worker starts', async () => {
      const queue = fresh();
      const { python } = scene();
      const id = await python.run<string>("app.send_task('js.add', (1, 2), queue=queue).id", { queue });
      const node = await scene().openNode(queue);
      await node.work();
      expect(await python.run('result(id).get(timeout=20)', { id })).toBe(3);
    });

    it.concurrent('Node sends to a queue of Python before its first worker starts', async () => {
      const queue = fresh();
      const handle = await scene().node.sender.sendTask('py.add', [1, 2], {}, { queue });
      await scene().startPython(queue, 1);
      expect(await handle.get({ timeout: '20s' })).toBe(3);
    });

    it.concurrent('Node works on a queue before Python has ever heard of it', async () => {
      const queue = fresh();
      const node = await scene().openNode(queue);
      await node.work();
      const source = "app.send_task('js.add', (1, 2), queue=queue).get(timeout=20)";
      expect(await scene().python.run(source, { queue })).toBe(3);
    });

    it.concurrent('Python works on a queue before Node has ever heard of it', async () => {
      const queue = fresh();
      await scene().startPython(queue, 1);
      const handle = await scene().node.sender.sendTask('py.add', [1, 2], {}, { queue });
      expect(await handle.get({ timeout: '20s' })).toBe(3);
    });

    it.concurrent(
      'workers of Python and Node drain one queue together: nothing is lost, nothing runs twice',
      async () => {
        const queue = fresh();
        const node = await scene().openNode(queue);
        const half = 200;
        const source = `
for number in range(half):
    app.send_task('shared.count', (number,), queue=queue)`;
        await Promise.all([
          scene().python.run(source, { queue, half }),
          ...Array.from({ length: half }, (_, number) => node.sender.sendTask('shared.count', [half + number])),
        ]);
        await Promise.all([node.work({ concurrency: 2 }), scene().startPython(queue)]);
        const runs = await eventually(() => {
          const counted = scene()
            .ledger()
            .filter((line) => /^(py|js) /.test(line));
          expect(counted.length).toBeGreaterThanOrEqual(2 * half);
          return counted;
        }, 30_000);
        const numbers = runs.map((line) => Number(line.split(' ')[1]));
        expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 2 * half }, (_, number) => number));
        for (const side of ['py', 'js'])
          expect(runs.filter((line) => line.startsWith(side)).length).toBeGreaterThan(20);
      },
    );
  });
}

/** In which order waiting tasks are taken. */
export function priorityScenarios(broker: BrokerName): void {
  describe('priorities', () => {
    const within = async (body: (scene: Scene) => Promise<void>): Promise<void> => {
      const scene = await OpenScene.open({ broker, maxPriority: 9 });
      try {
        await body(scene);
      } finally {
        await scene.close();
      }
    };
    const order = (scene: Scene): Promise<string[]> =>
      eventually(() => {
        const runs = scene.ledger();
        expect(runs).toHaveLength(3);
        return runs;
      }, 20_000);

    it.concurrent(`Node takes what Python sent in ${broker}'s order of priorities`, () =>
      within(async (scene) => {
        const { python, nodeQueue: queue } = scene;
        const source = `
for priority in (5, 9, 0):
    app.send_task('shared.count', (priority,), queue=queue, priority=priority)`;
        await python.run(source, { queue });
        await scene.node.work({ concurrency: 1 });
        const mostUrgentFirst = broker === 'Redis' ? [0, 5, 9] : [9, 5, 0];
        expect(await order(scene)).toEqual(mostUrgentFirst.map((number) => `js ${number}`));
      }),
    );

    it.concurrent('Python takes what Node sent with the highest priority first', () =>
      within(async (scene) => {
        for (const priority of [5, 9, 1]) {
          await scene.node.sender.sendTask('shared.count', [priority], {}, { queue: scene.pythonQueue, priority });
        }
        await scene.startPython(scene.pythonQueue, 1);
        expect(await order(scene)).toEqual(['py 9', 'py 5', 'py 1']);
      }),
    );
  });
}
