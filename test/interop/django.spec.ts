import { readFileSync } from 'node:fs';
import type { TaskHandle } from '@taskqueue/core';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/databases.js';
import { createDatabase, postgresUrl } from '../support/databases.js';
import { redisIsInstalled } from '../support/redis-server.js';
import { python } from './python-peer.js';
import { Scene } from './scene.js';

const hasDjango = process.env['TEST_PYTHON_DJANGO'] !== undefined;
const isPossible = python !== undefined && hasDjango && redisIsInstalled && postgresUrl !== undefined;

/** The view of docs/celery.md: what is documented is what is tested. */
const view = /```sql\n([\s\S]*?)```/.exec(readFileSync('docs/celery.md', 'utf8'))?.[1] as string;

describe.skipIf(!isPossible)('results in PostgreSQL, beside Django', () => {
  let database: TestDatabase;
  let scene: Scene;
  beforeAll(async () => {
    database = await createDatabase('postgres');
    scene = await Scene.open({ broker: 'Redis', database: database.url });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(view);
    await client.end();
    await Promise.all([scene.node.work(), scene.startPython()]);
  });
  afterAll(async () => {
    await scene?.close();
    await database?.remove();
  });

  const send = (task: string, args: readonly unknown[]): Promise<TaskHandle<unknown>> =>
    scene.node.sender.sendTask(task, args, {}, { queue: scene.pythonQueue });

  it('Django reads what Node returned', async () => {
    const value = await scene.python.run("js('echo', {'a': [1, None]}).delay().get(timeout=20)['args']");
    expect(value).toEqual([{ a: [1, null] }]);
  });

  it('Django reads the exception of Node', async () => {
    const source =
      "r = js('fail', 'broken').delay()\nr.get(timeout=20, propagate=False)\n[r.state, repr(r.result), r.traceback]";
    const [state, result, traceback] = await scene.python.run<[string, string, string]>(source);
    expect([state, result]).toEqual(['FAILURE', "RangeError('broken')"]);
    expect(traceback).toContain('RangeError: broken');
  });

  it('Django sees a call that Node rejects as failed', async () => {
    const source =
      "r = js('refuse', 'not for sale').delay()\nr.get(timeout=20, propagate=False)\n[r.state, str(r.result)]";
    const [state, text] = await scene.python.run<[string, string]>(source);
    expect(state).toBe('FAILURE');
    expect(text).toContain('not for sale');
  });

  it('Django lists them', async () => {
    const source = `
from django_celery_results.models import TaskResult
js('add', 1, 2).delay().get(timeout=20)
one = TaskResult.objects.get(task_name='js.add')
[one.status, one.result, one.date_done >= one.date_created]`;
    expect(await scene.python.run(source)).toEqual(['SUCCESS', '3', true]);
  });

  it('Node reads what Python returned, and Python too', async () => {
    const handle = await send('py.echo', ['€', null]);
    expect(await handle.get({ timeout: 20_000 })).toEqual({ args: ['€', null], kwargs: {} });
    const [record] = (await scene.node.stores.results?.get([handle.id])) ?? [];
    expect(record).toMatchObject({ state: 'SUCCESS', name: 'py.echo', argsRepr: '["€", null]', children: [] });
    const value = await scene.python.run(`app.AsyncResult('${handle.id}').get(timeout=20)['args']`);
    expect(value).toEqual(['€', null]);
  });

  it('Node reads the exception of Python, and Python too', async () => {
    const handle = await send('py.fail_own', [7, 'late']);
    await expect(handle.get({ timeout: 20_000 })).rejects.toMatchObject({
      failure: { type: 'OrderError', module: 'tasks', message: "(7, 'late')" },
    });
    expect((await handle.error())?.stack).toContain('Traceback');
    const [state, name] = await scene.python.run<[string, string]>(
      `r = app.AsyncResult('${handle.id}')\nr.get(timeout=20, propagate=False)\n[r.state, type(r.result).__name__]`,
    );
    expect([state, name]).toEqual(['FAILURE', 'OrderError']);
  });

  it('a retry of Python ends in one record', async () => {
    const handle = await send('py.retry_once', []);
    expect(await handle.get({ timeout: 20_000 })).toBeDefined();
    expect(await handle.state()).toBe('SUCCESS');
  });

  it('Django deletes what it does not need any more', async () => {
    const handle = await send('py.add', [1, 2]);
    expect(await handle.get({ timeout: 20_000 })).toBe(3);
    const source = `
from django_celery_results.models import TaskResult
TaskResult.objects.filter(task_id='${handle.id}').delete()[0]`;
    expect(await scene.python.run(source)).toBe(1);
    expect(await handle.state()).toBe('PENDING');
  });
});
