import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DATABASES, isThere } from '../support/databases.js';
import { rabbitmqIsInstalled, RabbitmqServer } from '../support/rabbitmq-server.js';
import { customerSuite } from './customer-suite.js';
import { operatorSuite } from './operator-suite.js';
import { scheduleSuite } from './schedule-suite.js';
import { clientOf } from './storefront-client.js';
import {
  buildStorefront,
  freePort,
  processesOf,
  RunningProcess,
  Storefront,
  storefrontEnvironment,
} from './storefront-processes.js';

// One file, and so one after the other: all of it runs what is built into one folder, and `npm start` builds it anew.
beforeAll(buildStorefront, 180_000);

for (const kind of DATABASES) describe.skipIf(!isThere(kind))(`the storefront on ${kind}`, () => storefrontSuite(kind));

function storefrontSuite(kind: (typeof DATABASES)[number]): void {
  let storefront: Storefront;
  const { get, accepted } = clientOf(() => storefront);

  beforeAll(async () => {
    storefront = await Storefront.start(kind);
  });

  afterAll(async () => {
    await storefront.remove();
  });

  customerSuite(() => storefront);
  scheduleSuite(() => storefront);
  operatorSuite(() => storefront);

  it('writes mails as .eml files, and an SQLite file only where SQLite is used', () => {
    const mails = readdirSync(join(storefront.dataDir, 'mails'));
    expect(mails.every((name) => name.endsWith('.eml'))).toBe(true);
    expect(existsSync(join(storefront.dataDir, 'storefront.sqlite'))).toBe(kind === 'sqlite');
  });

  it('ends on SIGTERM with code 0, the worker after the task that it runs', async () => {
    const { worker, beat, api } = storefront.processes;
    const id = await accepted('/playground/hello', { message: 'last orders' });
    await storefront.task(id, ['PROGRESS']);
    worker.child.kill('SIGTERM');
    beat.child.kill('SIGTERM');
    expect(await beat.ended).toEqual({ code: 0, signal: null });
    expect(await worker.ended).toEqual({ code: 0, signal: null });
    expect((await get(`/tasks/${id}`)).body).toMatchObject({ state: 'SUCCESS', attempts: 1 });
    api.child.kill('SIGTERM');
    expect(await api.ended).toEqual({ code: 0, signal: null });
  });
}

/** An empty variable is none. */
const RESULTS: readonly (readonly [string, string | undefined])[] = [
  ['in the database', ''],
  ['in Redis', process.env['TEST_REDIS_URL']],
  ['by rpc', 'rpc://'],
];

describe.skipIf(!rabbitmqIsInstalled)('the storefront on RabbitMQ, which BROKER_URL is all it takes for', () => {
  let server: RabbitmqServer;
  beforeAll(async () => {
    server = await RabbitmqServer.create();
  }, 90_000);
  afterAll(() => server?.remove());

  describe.each(RESULTS.filter(([, url]) => url !== undefined))('with results %s', (_where, url) => {
    let storefront: Storefront;
    const { get, accepted } = clientOf(() => storefront);
    beforeAll(async () => {
      storefront = await Storefront.start('sqlite', { BROKER_URL: server.url, RESULT_BACKEND_URL: url });
    });
    afterAll(() => storefront?.remove());

    it('runs what customers ask for, now and later, and shows what became of it', async () => {
      const now = await accepted('/feedback', { email: 'bo@customers.example', message: 'x' });
      const later = await accepted('/mail/welcome', { userId: 1, countdown: 1.5 });
      expect(await storefront.task(now)).toMatchObject({ name: 'mail.thankForFeedback', attempts: 1 });
      const { createdAt, startedAt } = await storefront.task(later);
      expect(Date.parse(startedAt) - Date.parse(createdAt)).toBeGreaterThanOrEqual(1_500);
    });

    it('shows progress, stops a task that is revoked, and knows nothing of one that it never had', async () => {
      const id = await accepted('/playground/hello', { message: 'x' });
      await storefront.task(id, ['PROGRESS']);
      expect(await storefront.call('DELETE', `/tasks/${id}`)).toMatchObject({ status: 200, body: { taskId: id } });
      await storefront.task(id, ['REVOKED']);
      expect((await get('/tasks/0f6f2c1e-0000-4000-8000-000000000000')).status).toBe(404);
    });

    it('beats, on schedules that stay in the database', async () => {
      await eventually(() => expect(storefront.processes.worker.output).toContain('playground.heartbeat['), 20_000);
      expect(storefront.processes.beat.output).not.toMatch(/ERROR/);
      const { items } = (await storefront.admin('GET', 'queues')).body;
      expect(items).toContainEqual(expect.objectContaining({ name: 'mail', ready: 0 }));
    });
  });
});

/** It builds first. */
const START_MS = 120_000;

describe('npm start', () => {
  let dataDir: string;
  let start: RunningProcess;
  let url: string;

  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'storefront-start-'));
    const port = await freePort();
    url = `http://localhost:${port}`;
    const { ADMIN_API_KEY: _key, ...env } = storefrontEnvironment(dataDir, port);
    start = new RunningProcess('start', ['scripts/start.mjs'], env);
    await eventually(() => {
      start.mustRun();
      expect(start.output).toContain('playground.heartbeat');
      expect(start.output).toContain('Admin key');
    }, START_MS);
  }, START_MS);

  afterEach(async () => {
    await start.kill();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'shows what to do and what is done, and ends cleanly on %s',
    async (signal) => {
      expect(start.output).toContain(`API on ${url}, its documentation on ${url}/docs`);
      const key = /Admin key of this run \(header x-api-key\): (\S+)/.exec(start.output)?.[1] as string;
      expect((await fetch(`${url}/admin/queues`, { headers: { 'x-api-key': key } })).status).toBe(200);
      await eventually(() => expect(start.output).toMatch(/worker \| .*playground\.heartbeat\[.*succeeded/));
      // Start itself, and its three processes.
      expect(processesOf(dataDir)).toHaveLength(4);
      start.child.kill(signal);
      expect(await start.ended).toEqual({ code: 0, signal: null });
      expect(processesOf(dataDir)).toEqual([]);
    },
  );

  it('leaves no process behind when it is killed', async () => {
    await start.kill();
    await eventually(() => expect(processesOf(dataDir)).toEqual([]), 15_000);
  });
});
