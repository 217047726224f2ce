import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/ambient/logger.js';
import { occurrenceTaskId } from '../../src/ambient/ids.js';
import { Beat } from '../../src/beat/beat.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Driver } from '../../src/ports/driver.js';
import type { Stores } from '../../src/ports/stores.js';
import { composeStores } from '../../src/ports/stores.js';
import type { ScheduleEntryInit } from '../../src/schedule/declare-entry.js';
import { declareEntry } from '../../src/schedule/declare-entry.js';
import { defineTask } from '../../src/task/task-definition.js';
import { TaskRegistry } from '../../src/task/task-registry.js';
import { FakeClock } from '../../src/testing/fake-clock.js';

const START = Date.UTC(2026, 0, 1, 12, 0, 0);

/** Beats on one memory store, under a clock that moves when told. */
class BeatsUnderTest {
  readonly clock = new FakeClock(START);
  readonly driver: Driver = memoryDriver({ clock: this.clock });
  readonly planned: { name: string; dueAt: number | undefined }[] = [];
  readonly beats: Beat[] = [];
  readonly stores: Stores;

  constructor(change: (stores: Stores) => Stores = (stores) => stores) {
    this.stores = change(composeStores({ broker: this.driver }));
  }

  async start(...declared: ScheduleEntryInit[]): Promise<Beat> {
    const registry = new TaskRegistry();
    registry.register({ definition: defineTask('tick', { queue: 'ticks' }), handler: () => undefined, source: 'tick' });
    const beat = new Beat({
      stores: this.stores,
      registry,
      settings: validateSettings({}),
      declared: declared.map(declareEntry),
      logger: silentLogger,
      clock: this.clock,
      random: () => 0.5,
      onPlanned: (plan) => this.planned.push(plan),
    });
    this.beats.push(beat);
    await beat.start();
    await this.clock.settle();
    return beat;
  }

  async sent(): Promise<string[]> {
    const waiting = await this.driver.inspector?.peek({ queue: 'ticks', status: 'ready', limit: 1_000 });
    return (waiting ?? []).map((message) => message.id);
  }
}

const all: BeatsUnderTest[] = [];
const open = (...args: ConstructorParameters<typeof BeatsUnderTest>): BeatsUnderTest => {
  const beats = new BeatsUnderTest(...args);
  all.push(beats);
  return beats;
};
afterEach(async () => {
  for (const beats of all.splice(0)) await Promise.all(beats.beats.map((beat) => beat.stop()));
});

const every10s: ScheduleEntryInit = { name: 'ten', task: 'tick', every: '10s' };
const idsFrom = (name: string, ...offsets: number[]): string[] =>
  offsets.map((seconds) => occurrenceTaskId(name, START + seconds * 1_000));

/** A store that cannot publish in the step of an advance, as Redis with RabbitMQ would be. */
const inTwoSteps = (stores: Stores): Stores => ({ ...stores, atomicFire: false });

describe.each([
  ['in one step', (stores: Stores) => stores],
  ['in two steps', inTwoSteps],
])('beat, firing %s', (_name, change) => {
  it('sends each occurrence once, under the id of its due instant', async () => {
    const beats = open(change);
    const beat = await beats.start(every10s);
    expect(await beats.sent()).toEqual([]);
    await beats.clock.advance('35s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 10, 20, 30));
    expect(beat.status()).toMatchObject({ state: 'running', entries: 1, sent: 3 });
  });

  it('may run many times and still sends each occurrence once', async () => {
    const beats = open(change);
    for (let index = 0; index < 4; index += 1) await beats.start(every10s);
    await beats.clock.advance('65s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 10, 20, 30, 40, 50, 60));
    const [entry] = (await beats.driver.schedules?.list()) ?? [];
    expect(entry?.totalRunCount).toBe(6);
  });

  it('goes on where a stopped beat left off', async () => {
    const beats = open(change);
    const first = await beats.start(every10s);
    await beats.clock.advance('15s');
    await first.stop();
    await beats.clock.advance('10s');
    await beats.start(every10s);
    expect(await beats.sent()).toEqual(idsFrom('ten', 10, 20));
    await beats.clock.advance('10s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 10, 20, 30));
  });
});

describe('beat', () => {
  it.each([
    ['skip', [], [130]],
    ['one', [120], [130]],
    ['all', [90, 100, 110, 120], [130]],
  ] as const)('follows the misfire policy %s after an outage', async (misfire, late, next) => {
    const beats = open();
    const entry = { ...every10s, misfire, misfireLimit: 4, misfireGrace: '1s' } as const;
    const first = await beats.start(entry);
    await first.stop();
    await beats.clock.advance('125s');
    await beats.start(entry);
    expect(await beats.sent()).toEqual(idsFrom('ten', ...late));
    await beats.clock.advance('5s');
    expect(await beats.sent()).toEqual(idsFrom('ten', ...late, ...next));
  });

  it('notices an edit within its poll interval, and does not fire for the past', async () => {
    const beats = open();
    await beats.start({ ...every10s, every: '1h' });
    await beats.clock.advance('10s');
    await beats.driver.schedules?.upsert([declareEntry({ ...every10s, every: '3s' })]);
    await beats.clock.advance('1s');
    await beats.clock.advance('6s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 12, 15));
    await beats.driver.schedules?.upsert([declareEntry({ ...every10s, every: '3s', enabled: false })]);
    await beats.clock.advance('30s');
    expect((await beats.sent()).length).toBeLessThanOrEqual(3);
    await beats.driver.schedules?.remove(['ten']);
    await beats.clock.advance('2s');
    expect(beats.beats[0]?.status().entries).toBe(0);
    expect(beats.planned.at(-1)).toEqual({ name: 'ten', dueAt: undefined });
  });

  it('fires a clocked entry once and switches it off', async () => {
    const beats = open();
    await beats.start({ name: 'once', task: 'tick', clocked: new Date(START + 5_000) });
    await beats.clock.advance('1m');
    expect(await beats.sent()).toEqual(idsFrom('once', 5));
    const [entry] = (await beats.driver.schedules?.list()) ?? [];
    expect(entry).toMatchObject({ enabled: false, totalRunCount: 1, dueAt: undefined });
  });

  it('obeys start time, expiry and one-off', async () => {
    const beats = open();
    await beats.start(
      { name: 'late', task: 'tick', every: '10s', startTime: new Date(START + 25_000), oneOff: true },
      { name: 'short', task: 'tick', every: '10s', expires: new Date(START + 15_000) },
    );
    await beats.clock.advance('1m');
    expect(new Set(await beats.sent())).toEqual(new Set([...idsFrom('short', 10), ...idsFrom('late', 30)]));
  });

  it('skips while the last run has not ended, where the overlap policy says so', async () => {
    const beats = open();
    await beats.start({ ...every10s, overlap: 'skip' });
    await beats.clock.advance('35s');
    const [first] = await beats.sent();
    expect(await beats.sent()).toEqual(idsFrom('ten', 10));
    await beats.driver.results?.put([{ taskId: first as string, state: 'SUCCESS', name: 'tick', run: 1, attempts: 1 }]);
    await beats.driver.inspector?.purge('ticks');
    await beats.clock.advance('10s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 40));
  });

  it('spreads runs by the jitter, keeping their identity', async () => {
    const beats = open();
    await beats.start({ ...every10s, jitter: '4s' });
    await beats.clock.advance('10s');
    expect(await beats.sent()).toEqual([]);
    const [delayed] = (await beats.driver.inspector?.peek({ queue: 'ticks', status: 'delayed', limit: 10 })) ?? [];
    expect([delayed?.id, delayed?.eta]).toEqual([idsFrom('ten', 10)[0], START + 12_000]);
  });

  it('carries arguments, headers and the entry’s name, and lets the message expire', async () => {
    const beats = open();
    await beats.start({
      ...every10s,
      args: [1],
      kwargs: { a: 2 },
      headers: { tenant: 'acme' },
      expires: '5s',
      priority: 7,
    });
    await beats.clock.advance('10s');
    const [message] = (await beats.driver.inspector?.peek({ queue: 'ticks', status: 'ready', limit: 1 })) ?? [];
    expect(message?.priority).toBe(7);
    expect(message?.message.headers).toMatchObject({
      task: 'tick',
      tenant: 'acme',
      periodic_task_name: 'ten',
      argsrepr: '(1,)',
      expires: new Date(START + 15_000).toISOString().replace('.000Z', '+00:00'),
    });
  });

  it('goes on with its other entries when one cannot be sent, and tells what is planned', async () => {
    const beats = open();
    await beats.driver.schedules?.upsert([
      { ...declareEntry({ ...every10s, name: 'bad' }), queue: 'not a queue name' },
      { ...declareEntry({ ...every10s, name: 'broken' }), schedule: { kind: 'crontab', minute: 'nonsense' } },
    ]);
    await beats.start(every10s);
    await beats.clock.advance('20s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 10, 20));
    expect(beats.planned).toContainEqual({ name: 'ten', dueAt: START + 30_000 });
  });

  it('goes on when its store was away', async () => {
    const beats = open();
    const store = beats.stores.schedules as unknown as { poll: () => Promise<unknown> };
    const poll = store.poll.bind(store);
    await beats.start(every10s);
    store.poll = () => Promise.reject(new Error('away'));
    await beats.clock.advance('30s');
    store.poll = poll;
    await beats.clock.advance('5s');
    await beats.clock.advance('10s');
    expect((await beats.sent()).at(-1)).toBe(idsFrom('ten', 40)[0]);
  });
});
