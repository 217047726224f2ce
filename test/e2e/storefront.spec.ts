import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DATABASES, isThere } from '../support/databases.js';
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
