import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test } from '@nestjs/testing';
import type { ProbeSettings } from '@taskqueue/core';
import { memoryDriver, silentLogger } from '@taskqueue/core';
import { eventually, FakeClock, FaultyDriver } from '@taskqueue/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { HealthFile } from '../../src/health/health-file.js';
import { openProbes } from '../../src/health/probes.js';
import type { TaskQueueModuleOptions } from '../../src/index.js';
import { TaskQueueModule } from '../../src/index.js';
import { TaskQueueLifecycle } from '../../src/lifecycle/task-queue.lifecycle.js';

const open: { close(): Promise<void> }[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'probes-'));
  folders.push(made);
  return made;
}

async function scene(
  settings: Partial<ProbeSettings> = {},
  options: TaskQueueModuleOptions = {},
  service: 'worker' | 'beat' = 'worker',
) {
  const imports = [TaskQueueModule.forRoot({ driver: memoryDriver(), logger: silentLogger, ...options })];
  const app = await Test.createTestingModule({ imports }).compile();
  await app.init();
  open.push(app);
  const defaults = { healthPort: 0, healthHost: '127.0.0.1', healthFile: undefined, metrics: false };
  const probes = await openProbes({ app, service, settings: { ...defaults, ...settings } });
  open.push(probes);
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${probes.port}${path}`, init);
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) };
  };
  return { app, probes, ask };
}

describe('probes by HTTP', () => {
  it('tell that a worker lives and consumes', async () => {
    const { ask } = await scene({}, { embedded: 'worker' });
    expect(await ask('/livez')).toEqual({ status: 200, body: { status: 'up' } });
    expect(await ask('/readyz')).toMatchObject({
      status: 200,
      body: { status: 'up', workers: [{ state: 'running' }] },
    });
  });

  it('tell that a beat reads its schedules', async () => {
    const { ask } = await scene({}, { embedded: 'beat' }, 'beat');
    expect(await ask('/readyz')).toMatchObject({ status: 200, body: { beats: [{ state: 'running' }] } });
  });

  it('are not ready before anything has started, but live', async () => {
    const { ask } = await scene();
    expect(await ask('/livez')).toMatchObject({ status: 200 });
    expect(await ask('/readyz')).toMatchObject({
      status: 503,
      body: { status: 'down', reason: 'Nothing has started yet.' },
    });
  });

  it('are not ready once the worker has drained, but live', async () => {
    const { app, ask } = await scene({}, { embedded: 'worker' });
    await app.get(TaskQueueLifecycle).drain();
    expect(await ask('/livez')).toMatchObject({ status: 200 });
    expect(await ask('/readyz')).toMatchObject({
      status: 503,
      body: { status: 'down', reason: expect.stringMatching(/is stopped/) as string },
    });
  });

  it('ask the stores once a second at most, however many ask', async () => {
    const clock = new FakeClock();
    const driver = memoryDriver({ clock });
    let pings = 0;
    const ping = (): Promise<void> => ((pings += 1), driver.ping());
    const { ask } = await scene({}, { driver: { ...driver, ping }, clock, embedded: 'none' });
    await Promise.all([ask('/readyz'), ask('/readyz'), ask('/readyz')]);
    expect(pings).toBe(1);
    await clock.advance('1s');
    await ask('/readyz');
    expect(pings).toBe(2);
  });

  it('answer GET and HEAD of what there is, and nothing else', async () => {
    const { ask } = await scene();
    expect(await ask('/livez?from=kubelet', { method: 'HEAD' })).toEqual({ status: 200, body: undefined });
    expect(await ask('/livez', { method: 'POST' })).toMatchObject({ status: 405 });
    expect(await ask('/constructor')).toMatchObject({ status: 404, body: { reason: 'One of /livez, /readyz.' } });
  });

  it('say which port cannot be had', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    await expect(scene({ healthPort: port })).rejects.toMatchObject({
      code: 'CONFIGURATION_INVALID',
      message: expect.stringMatching(new RegExp(`worker\\.healthPort.*got ${port}.*EADDRINUSE`)) as string,
    });
    taken.close();
  });

  it('are refused when they are closed', async () => {
    const { probes, ask } = await scene();
    await probes.close();
    await expect(ask('/livez')).rejects.toThrow();
  });
});

describe('beat readiness', () => {
  it('knows how seldom a beat was told to look', async () => {
    const clock = new FakeClock();
    const faulty = new FaultyDriver(memoryDriver({ clock }));
    const { ask } = await scene({}, { driver: faulty, clock, embedded: 'beat', beat: { poll: '1m' } }, 'beat');
    await clock.advance('50s');
    expect(await ask('/readyz')).toMatchObject({ status: 200 });
    faulty.down(['schedules.poll']);
    await clock.advance('3m');
    expect(await ask('/readyz')).toMatchObject({
      status: 503,
      body: { reason: expect.stringContaining('has not read its schedules for 120000 ms') as string },
    });
  });
});

describe('the health file', () => {
  const age = (path: string, clock: FakeClock): number => Math.round(clock.now() - statSync(path).mtimeMs);
  async function file(path = join(folder(), 'alive')) {
    const clock = new FakeClock();
    const one = new HealthFile({ path, clock, logger: silentLogger });
    await one.start();
    open.push(one);
    return { path, clock, one };
  }

  it('is there at once, and touched every five seconds', async () => {
    const { path, clock } = await file();
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
    for (const _ of [1, 2, 3]) {
      utimesSync(path, 0, 0);
      await clock.advance('5s');
      await eventually(() => expect(age(path, clock) + 0).toBe(0));
    }
  });

  it('is made again when somebody deletes it', async () => {
    const { path, clock } = await file();
    rmSync(path);
    await clock.advance('5s');
    await eventually(() => expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`));
  });

  it('is removed at the end', async () => {
    const { path, one } = await file();
    await one.close();
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  it('is opened by the setting, which names what cannot be written', async () => {
    const path = join(folder(), 'alive');
    const { probes } = await scene({ healthPort: undefined, healthFile: path }, { embedded: 'worker' });
    expect(statSync(path).isFile()).toBe(true);
    expect(probes.port).toBeUndefined();
    await probes.close();
    expect(() => statSync(path)).toThrow('ENOENT');
    await expect(scene({ healthFile: join(path, 'no', 'folder') })).rejects.toThrow(/worker\.healthFile.*ENOENT/);
  });
});
