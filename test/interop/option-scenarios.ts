import { randomUUID } from 'node:crypto';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import type { Scene } from './scene.js';
import { foreignSerializers } from './serializers.js';

const TIMEOUT = '20s';

interface Request {
  readonly id: string;
  readonly root_id: string;
  readonly parent_id: string | null;
  readonly eta: string | null;
  readonly expires: string | null;
  readonly headers: Record<string, unknown> | null;
  readonly timelimit?: readonly (number | null)[];
  readonly priority?: number;
  readonly deadline?: number | null;
  readonly trace?: unknown;
  /** Seconds. */
  readonly at: number;
}

/** Options of a call. */
export function optionScenarios(scene: () => Scene): void {
  describe('an option', () => {
    it.concurrent('Python delays a call of Node by countdown', async () => {
      const { python } = scene();
      const before = Date.now() / 1_000;
      const seen = await python.run<Request>("js('request').apply_async(countdown=2).get(timeout=20)");
      expect(seen.at - before).toBeGreaterThan(1.9);
      expect(seen.eta).not.toBeNull();
    });

    it.concurrent('Node delays a call of Python by countdown', async () => {
      const { node, pythonQueue } = scene();
      const before = Date.now() / 1_000;
      const handle = await node.sender.sendTask<Request>('py.request', [], {}, { queue: pythonQueue, countdown: '2s' });
      const seen = await handle.get({ timeout: TIMEOUT });
      expect(seen.at - before).toBeGreaterThan(1.9);
    });

    it.concurrent('Python delays a call of Node until an eta in another time zone', async () => {
      const { python } = scene();
      const source = `
from datetime import datetime, timedelta, timezone
eta = datetime.now(timezone(timedelta(hours=9))) + timedelta(seconds=2)
[js('request').apply_async(eta=eta).get(timeout=20)['at'], eta.timestamp()]`;
      const [at, eta] = await python.run<[number, number]>(source);
      expect(at).toBeGreaterThan(eta - 0.05);
    });

    it.concurrent('Node delays a call of Python until an eta', async () => {
      const { node, pythonQueue } = scene();
      const eta = new Date(Date.now() + 2_000);
      const handle = await node.sender.sendTask<Request>('py.request', [], {}, { queue: pythonQueue, eta });
      expect((await handle.get({ timeout: TIMEOUT })).at).toBeGreaterThan(eta.getTime() / 1_000 - 0.05);
    });

    it.concurrent('Node does not run what Python let expire', async () => {
      const { python } = scene();
      // RabbitMQ itself drops what expires in a queue; this one expires while it waits for its countdown.
      const source = "js('request').apply_async(expires=2, countdown=3).get(timeout=20)";
      await expect(python.run(source)).rejects.toMatchObject({ type: 'TaskRevokedError', args: ['expired'] });
    });

    it.concurrent('Python does not run what Node let expire', async () => {
      const { node, pythonQueue } = scene();
      const expires = new Date(Date.now() - 5_000);
      const handle = await node.sender.sendTask('py.request', [], {}, { queue: pythonQueue, expires });
      await expect(handle.get({ timeout: TIMEOUT })).rejects.toMatchObject({ code: 'TASK_EXPIRED' });
    });

    it.concurrent('Python chooses the task id, adds headers and says when a call of Node expires', async () => {
      const { python } = scene();
      const id = randomUUID();
      const source =
        "js('request').apply_async(task_id=id, expires=600, headers={'trace': 'abc', 'n': 1}).get(timeout=20)";
      const seen = await python.run<Request>(source, { id });
      expect(seen).toMatchObject({ id, root_id: id, parent_id: null, headers: { trace: 'abc', n: 1 } });
      expect(Date.parse(seen.expires ?? '') - Date.now()).toBeGreaterThan(500_000);
    });

    it.concurrent('Node chooses the task id, adds headers and says when a call of Python expires', async () => {
      const { node, pythonQueue } = scene();
      const taskId = randomUUID();
      const headers = { trace: 'abc', n: 1 };
      const options = { queue: pythonQueue, taskId, headers, expires: '10m' } as const;
      const seen = await (await node.sender.sendTask<Request>('py.request', [], {}, options)).get({ timeout: TIMEOUT });
      expect(seen).toMatchObject({ id: taskId, parent_id: null, trace: 'abc' });
      // Left out of lean messages: Celery takes the id then.
      expect([null, taskId]).toContain(seen.root_id);
      expect(Date.parse(seen.expires ?? '') - Date.now()).toBeGreaterThan(500_000);
    });

    // In AMQP's tables each size has a tag of its own, of which the clients do not think alike.
    const numbers = [-70_000, -129, -1, 0, 127, 128, 300, 32_767, 32_768, 2 ** 31, 2 ** 53 - 1, -(2 ** 40)];

    it.concurrent('Python calls Node with whole numbers of any size in its headers', async () => {
      const { python } = scene();
      const source = "js('request').apply_async(headers={'numbers': numbers}, time_limit=600).get(timeout=20)";
      const seen = await python.run<Request>(source, { numbers });
      expect(seen.headers).toMatchObject({ numbers });
      expect((seen.deadline ?? 0) / 1_000 - seen.at).toBeGreaterThan(550);
    });

    it.concurrent('Node calls Python with whole numbers of any size in its headers', async () => {
      const { node, pythonQueue } = scene();
      const options = { queue: pythonQueue, headers: { numbers }, timeLimit: '10m' } as const;
      const seen = await (await node.sender.sendTask<Request>('py.request', [], {}, options)).get({ timeout: TIMEOUT });
      expect(seen).toMatchObject({ numbers, timelimit: [600, null] });
    });

    it.concurrent('Python limits the time of a call of Node: the hard limit first on the wire', async () => {
      const { python } = scene();
      const seen = await python.run<Request>(
        "js('request').apply_async(time_limit=60, soft_time_limit=30).get(timeout=20)",
      );
      expect((seen.deadline ?? 0) / 1_000 - seen.at).toBeGreaterThan(55);
      const error = python.run("js('sleep', 30).apply_async(time_limit=1).get(timeout=20)");
      await expect(error).rejects.toMatchObject({ type: 'TimeLimitExceeded' });
    });

    it.concurrent('Node limits the time of a call of Python: the hard limit first on the wire', async () => {
      const { node, pythonQueue } = scene();
      const limits = { timeLimit: '60s', softTimeLimit: '30s', queue: pythonQueue } as const;
      const seen = await (await node.sender.sendTask<Request>('py.request', [], {}, limits)).get({ timeout: TIMEOUT });
      expect(seen.timelimit).toEqual([60, 30]);
      const slow = await node.sender.sendTask('py.sleep', [30], {}, { queue: pythonQueue, softTimeLimit: '1s' });
      await expect(slow.get({ timeout: TIMEOUT })).rejects.toMatchObject({
        code: 'SOFT_TIME_LIMIT_EXCEEDED',
        failure: { type: 'SoftTimeLimitExceeded' },
      });
    });

    it.concurrent.each(['zlib', 'gzip'])('Python compresses a call of Node with %s', async (compression) => {
      const { python } = scene();
      const source =
        "js('echo', 'x' * 5000).apply_async(compression=compression).get(timeout=20)['args'] == ['x' * 5000]";
      expect(await python.run(source, { compression })).toBe(true);
    });

    it.concurrent.each(['zlib', 'gzip'] as const)('Node compresses a call of Python with %s', async (compression) => {
      const { node, pythonQueue } = scene();
      const text = 'x'.repeat(5_000);
      const handle = await node.senderWith({ compression }).sendTask('py.echo', [text], {}, { queue: pythonQueue });
      expect(await handle.get({ timeout: TIMEOUT })).toEqual({ args: [text], kwargs: {} });
    });

    it.concurrent.each(['msgpack', 'yaml'])('Node accepts %s from Python where it is enabled', async (serializer) => {
      const queue = `${scene().name}.${serializer}`;
      const node = await scene().openNode(queue, { serializers: await foreignSerializers() });
      await node.work();
      const source = `
args = (1.5, 'grüße 東京', [None, True, {'deep': [1]}], 2**40)
options = {'queue': queue, 'serializer': serializer, 'compression': 'zlib'}
app.send_task('js.echo', args, **options).get(timeout=20)['args'] == list(args)`;
      expect(await scene().python.run(source, { queue, serializer })).toBe(true);
    });

    it.concurrent.each(['msgpack', 'yaml'])(
      'Node refuses %s from Python where it is not enabled',
      async (serializer) => {
        const source = "js('echo', 1).apply_async(serializer=serializer).get(timeout=20)";
        await expect(scene().python.run(source, { serializer })).rejects.toMatchObject({ type: 'DecodeError' });
        const refused = `application/x-${serializer}`;
        await eventually(async () => expect((await scene().deadReasons()).join('\n')).toContain(refused));
      },
    );

    it.concurrent('Node refuses pickle, puts it to the dead letters, and tells Python', async () => {
      const { python } = scene();
      const source = "js('echo', 1).apply_async(serializer='pickle').get(timeout=20)";
      await expect(python.run(source)).rejects.toMatchObject({ type: 'DecodeError' });
      await eventually(async () =>
        expect((await scene().deadReasons()).join('\n')).toContain('application/x-python-serialize'),
      );
    });
  });
}
