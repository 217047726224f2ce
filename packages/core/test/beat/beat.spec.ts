import { afterEach, describe, expect, it } from 'vitest';
import { occurrenceTaskId } from '../../src/ambient/ids.js';
import type { TaskQueueError } from '../../src/errors/errors.js';
import { BrokerError, UsageError } from '../../src/errors/errors.js';
import type { OutgoingMessage } from '../../src/ports/broker.js';
import type { Stores } from '../../src/ports/stores.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { ScheduleEntryInit } from '../../src/schedule/declare-entry.js';
import { declareEntry } from '../../src/schedule/declare-entry.js';
import { BeatsUnderTest, START } from './beats-under-test.js';

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

/** Stores that refuse the messages of one entry, as long as `refuses` says so. */
function refusing(stores: Stores, name: string, error: TaskQueueError, refuses = () => true): Stores {
  const { broker, schedules } = stores;
  if (schedules === undefined) throw new Error('no schedules');
  const isBad = (message: OutgoingMessage): boolean =>
    refuses() && message.message.headers['periodic_task_name'] === name;
  const publish: typeof broker.publish = async (messages, options) => {
    const outcomes = await broker.publish(
      messages.filter((message) => !isBad(message)),
      options,
    );
    let next = 0;
    return messages.map((message) => (isBad(message) ? { status: 'refused', error } : (outcomes[next++] ?? never())));
  };
  const advance: typeof schedules.advance = (step) =>
    (step.publish ?? []).some(isBad) ? Promise.reject(error) : schedules.advance(step);
  return { ...stores, broker: overlay(broker, { publish }), schedules: overlay(schedules, { advance }) };
}

function overlay<T extends object>(port: T, methods: Partial<T>): T {
  return Object.assign(Object.create(port) as T, methods);
}

function never(): never {
  throw new Error('cannot be');
}

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

describe('beat, firing in two steps', () => {
  it('publishes only what it has claimed, so that a quick worker cannot make room for a second one', async () => {
    const published: string[] = [];
    const beats = open((stores) => {
      const publish: Stores['broker']['publish'] = (messages, options) => {
        published.push(...messages.map((message) => message.id));
        return stores.broker.publish(messages, options);
      };
      return inTwoSteps({ ...stores, broker: overlay(stores.broker, { publish }) });
    });
    for (let index = 0; index < 4; index += 1) await beats.start(every10s);
    await beats.clock.advance('35s');
    expect(published).toEqual(idsFrom('ten', 10, 20, 30));
  });

  it('does not send again what has run, when a beat died before it could move the entry on', async () => {
    let dies = true;
    const beats = open((stores) => {
      const { schedules } = stores;
      if (schedules === undefined) throw new Error('no schedules');
      const advance: typeof schedules.advance = (step) =>
        dies && step.firedAt !== undefined ? Promise.reject(new Error('dead')) : schedules.advance(step);
      return inTwoSteps({ ...stores, schedules: overlay(schedules, { advance }) });
    });
    const dead = await beats.start(every10s);
    await beats.clock.advance('10s');
    const [first] = idsFrom('ten', 10);
    expect(await beats.sent()).toEqual([first]);
    await dead.stop();
    await beats.run('tick', first as string);
    expect(await beats.sent()).toEqual([]);

    dies = false;
    const heir = await beats.start(every10s);
    await beats.clock.advance('11s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 20));
    expect(heir.status().sent).toBe(2);
    const [entry] = (await beats.driver.schedules?.list()) ?? [];
    expect(entry?.totalRunCount).toBe(2);
  });
});

describe.each([
  ['in one step', (stores: Stores) => stores],
  ['in two steps', inTwoSteps],
])('an entry that cannot be sent, firing %s,', (_name, change) => {
  const bad = { ...declareEntry({ ...every10s, name: 'bad' }), queue: 'not a queue name' };
  const stored = async (beats: BeatsUnderTest, name: string) =>
    (await beats.driver.schedules?.list())?.find((entry) => entry.name === name);

  it('is told of at each occurrence, moves on, and counts no run', async () => {
    const beats = open(change);
    await beats.driver.schedules?.upsert([bad]);
    await beats.start(every10s);
    await beats.clock.advance('25s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 10, 20));
    expect(beats.errors).toEqual(
      Array.from({ length: 2 }, () => expect.stringMatching(/^Schedule "bad" cannot be sent: .*queue/) as string),
    );
    expect(await stored(beats, 'bad')).toMatchObject({
      dueAt: START + 30_000,
      totalRunCount: 0,
      lastRunAt: undefined,
      lastTaskId: undefined,
      enabled: true,
    });
    expect(beats.beats[0]?.status().sent).toBe(2);
    await beats.driver.schedules?.upsert([{ ...bad, queue: 'ticks' }]);
    await beats.clock.advance('5s');
    expect(await beats.sent()).toEqual(expect.arrayContaining(idsFrom('bad', 30)));
  });

  it('and runs once is switched off without a run, and runs when it was mended', async () => {
    const beats = open(change);
    const once = declareEntry({ name: 'once', task: 'tick', clocked: new Date(START + 5_000) });
    await beats.driver.schedules?.upsert([{ ...once, priority: 77 }]);
    await beats.start();
    await beats.clock.advance('10s');
    expect(beats.errors).toEqual([expect.stringMatching(/"once" cannot be sent: priority/) as string]);
    expect(await stored(beats, 'once')).toMatchObject({ enabled: false, totalRunCount: 0, dueAt: undefined });
    await beats.driver.schedules?.upsert([once]);
    await beats.clock.advance('2s');
    expect(await beats.sent()).toEqual(idsFrom('once', 5));
  });

  it('because the store refuses it for good, moves on', async () => {
    const refusal = new UsageError({ code: 'MESSAGE_TOO_LARGE', message: 'too large for this store' });
    const beats = open((stores) => refusing(change(stores), 'bad', refusal));
    await beats.start(every10s, { ...every10s, name: 'bad' });
    await beats.clock.advance('25s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 10, 20));
    expect(beats.errors).toHaveLength(2);
    expect(beats.errors[0]).toBe('Schedule "bad" cannot be sent: too large for this store');
    expect(await stored(beats, 'bad')).toMatchObject({ dueAt: START + 30_000, totalRunCount: 0 });
  });

  it('at the moment is tried again until it is, told once, and sent once', async () => {
    let away = true;
    const refusal = new BrokerError({ code: 'BROKER_UNAVAILABLE', message: 'away', retryable: true });
    const beats = open((stores) => refusing(change(stores), 'bad', refusal, () => away));
    await beats.start(every10s, { ...every10s, name: 'bad', misfire: 'all' });
    await beats.clock.advance('15s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 10));
    away = false;
    await beats.clock.advance('40s');
    expect(beats.errors).toEqual([expect.stringMatching(/^Schedule "bad" failed: .*away/) as string]);
    expect((await beats.sent()).toSorted()).toEqual(
      [...idsFrom('ten', 10, 20, 30, 40, 50), ...idsFrom('bad', 10, 20, 30, 40, 50)].toSorted(),
    );
  });

  it('because its schedule cannot be read is told of once, and goes on when it was mended', async () => {
    const beats = open(change);
    const broken = {
      ...declareEntry({ ...every10s, name: 'broken' }),
      schedule: { kind: 'crontab', minute: 'x' },
    } as const;
    await beats.driver.schedules?.upsert([broken]);
    await beats.start(every10s);
    await beats.clock.advance('15s');
    expect(beats.errors).toEqual([expect.stringMatching(/^Schedule "broken" failed: .*minute/) as string]);
    await beats.driver.schedules?.upsert([declareEntry({ ...every10s, name: 'broken' })]);
    await beats.clock.advance('10s');
    expect(await beats.sent()).toEqual(expect.arrayContaining([...idsFrom('ten', 10, 20), ...idsFrom('broken', 20)]));
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

  it('sends one at a time after it was late, where the overlap policy says so', async () => {
    const beats = open();
    await (await beats.start({ ...every10s, overlap: 'skip' })).stop();
    await beats.clock.advance('35s');
    await beats.start({ ...every10s, overlap: 'skip' });
    expect(await beats.sent()).toEqual(idsFrom('ten', 30));
    expect(beats.warnings.join()).toContain('2 occurrence(s) skipped');
  });

  it('skips also where the results do not show what waits in the broker', async () => {
    const elsewhere = memoryDriver();
    const beats = open((stores) => ({ ...stores, results: elsewhere.results, showsWaiting: false, atomicFire: false }));
    await beats.start({ ...every10s, overlap: 'skip' });
    await beats.clock.advance('35s');
    const [first] = idsFrom('ten', 10) as [string];
    expect(await beats.sent()).toEqual([first]);
    expect((await elsewhere.results?.get([first]))?.[0]).toMatchObject({ state: 'PENDING', periodicTaskName: 'ten' });
    await beats.run('tick', first);
    await elsewhere.results?.put([{ taskId: first, state: 'SUCCESS', name: 'tick', run: 1, attempts: 1 }]);
    await beats.clock.advance('10s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 40));
  });

  it('skips also while a task runs that is acknowledged before its run', async () => {
    const beats = open((stores) => stores, { ack: 'early' });
    await beats.start({ ...every10s, overlap: 'skip' });
    await beats.clock.advance('10s');
    const [first] = await beats.sent();
    // Its worker has taken it, and the broker knows nothing of it any more.
    await beats.driver.inspector?.purge('ticks');
    await beats.clock.advance('20s');
    expect(await beats.sent()).toEqual([]);
    await beats.driver.results?.put([{ taskId: first as string, state: 'SUCCESS', name: 'tick', run: 1, attempts: 1 }]);
    await beats.clock.advance('10s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 40));
  });

  it('says that it cannot tell whether a task runs that is acknowledged before, and keeps no result', async () => {
    const beats = open((stores) => stores, { ack: 'early', ignoreResult: true });
    await beats.start({ ...every10s, overlap: 'skip' });
    await beats.clock.advance('20s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 10, 20));
    expect(beats.warnings.join()).toContain("overlap: 'skip'");
  });

  it('sends other entries beside one whose arguments somebody broke', async () => {
    const beats = open();
    const broken = { ...declareEntry({ ...every10s, name: 'broken' }), args: '[1,' as unknown as [] };
    const headless = { ...declareEntry({ ...every10s, name: 'headless' }), headers: [] as unknown as object };
    await beats.driver.schedules?.upsert([broken, headless as never]);
    await beats.start(every10s);
    await beats.clock.advance('10s');
    expect(await beats.sent()).toEqual(idsFrom('ten', 10));
    expect(beats.errors).toEqual([
      expect.stringMatching(/"broken" cannot be sent: args must be a list.*got "\[1,"/),
      expect.stringMatching(/"headless" cannot be sent: headers must be an object/),
    ]);
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
