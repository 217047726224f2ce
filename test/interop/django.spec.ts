import { readFileSync } from 'node:fs';
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

describe.skipIf(!isPossible)('results of ours in PostgreSQL, beside Django', () => {
  let database: TestDatabase;
  let scene: Scene;
  beforeAll(async () => {
    database = await createDatabase('postgres');
    scene = await Scene.open({ broker: 'Redis', database: database.url });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(view);
    await client.end();
    await scene.node.work();
  });
  afterAll(async () => {
    await scene?.close();
    await database?.remove();
  });

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

  it('Django lists them', async () => {
    const source = `
from django_celery_results.models import TaskResult
js('add', 1, 2).delay().get(timeout=20)
one = TaskResult.objects.get(task_name='js.add')
[one.status, one.result, one.date_done >= one.date_created]`;
    expect(await scene.python.run(source)).toEqual(['SUCCESS', '3', true]);
  });
});
