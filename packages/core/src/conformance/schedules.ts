import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ScheduleStore, StoredEntry } from '../ports/schedule-store.js';
import type { ScheduleEntry } from '../schedule/schedule-entry.js';
import { scheduleFingerprint } from '../schedule/schedule-factory.js';
import { eventually } from '../testing/eventually.js';
import type { ConformanceContext, TestRunner } from './context.js';
import { entry, idsOf, message, receive } from './context.js';

/** Schedule entries and their occurrences. Cases share the store, so each looks at its own names only. */
export function scheduleSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  const store = (): ScheduleStore => {
    assert(context.driver.schedules);
    return context.driver.schedules;
  };
  const find = async (name: string): Promise<StoredEntry | undefined> =>
    (await store().list()).find((one) => one.name === name);
  const name = (): string => `entry-${randomUUID()}`;

  describe('schedules', () => {
    it('keep every field of an entry, for every kind of schedule', async () => {
      const kinds: ScheduleEntry['schedule'][] = [
        { kind: 'interval', everyMs: 90_000 },
        { kind: 'interval', everyMs: 86_400_000 },
        { kind: 'interval', everyMs: 1_500 },
        {
          kind: 'crontab',
          minute: '*/5',
          hour: '8-18',
          dayOfMonth: '*',
          monthOfYear: '*',
          dayOfWeek: 'mon-fri',
          timezone: 'Europe/Berlin',
          gap: 'skip',
          dayRule: 'or',
        },
        { kind: 'clocked', at: 1_900_000_000_000 },
        { kind: 'solar', event: 'sunset', latitude: 52.52, longitude: 13.405 },
      ];
      for (const schedule of kinds) {
        const full = entry(name(), {
          schedule,
          args: [1, 'zwei', { drei: [null] }],
          kwargs: { key: 'value' },
          queue: 'mail',
          priority: 7,
          headers: { tenant: 'acme' },
          expiresMs: 5_000,
          oneOff: schedule.kind === 'clocked',
          startTime: 1_800_000_000_000,
          enabled: false,
          description: 'for the test',
          misfire: 'all',
          misfireLimit: 7,
          misfireGraceMs: 1_234,
          jitterMs: 99,
          overlap: 'skip',
        });
        await store().upsert([full]);
        const read = await find(full.name);
        assert(read);
        for (const [field, value] of Object.entries(full)) {
          if (field !== 'schedule') assert.deepEqual(read[field as keyof StoredEntry], value, field);
        }
        assert.deepEqual(withoutDefaults(read.schedule), withoutDefaults(schedule));
        assert.deepEqual([read.dueAt, read.lastRunAt, read.totalRunCount], [undefined, undefined, 0]);
      }
    });

    it('keep an absolute expiry', async () => {
      const one = entry(name(), { expiresAt: 1_900_000_000_000 });
      await store().upsert([one]);
      const read = await find(one.name);
      assert.deepEqual([read?.expiresAt, read?.expiresMs], [1_900_000_000_000, undefined]);
    });

    it('change the version with any edit, and tell the time', async () => {
      const one = entry(name());
      const seen = new Set<string>();
      const look = async (): Promise<void> => {
        const poll = await context.peer.schedules?.poll();
        assert(poll && !seen.has(poll.version), 'the version did not change');
        assert(Math.abs(poll.now - Date.now()) < 60_000);
        seen.add(poll.version);
      };
      await look();
      await store().upsert([one]);
      await look();
      await store().upsert([{ ...one, enabled: false }]);
      await look();
      await store().remove([one.name]);
      await look();
      assert.equal(await find(one.name), undefined);
    });

    it('advance an occurrence once, whoever asks and however often', async () => {
      const one = entry(name());
      await store().upsert([one]);
      const base = { name: one.name, fingerprint: 'f' };
      assert.equal(await store().advance({ ...base, dueAt: undefined, nextDueAt: 1_000 }), true);
      assert.equal(await store().advance({ ...base, dueAt: undefined, nextDueAt: 2_000 }), false);
      const step = { ...base, dueAt: 1_000, nextDueAt: 2_000, firedAt: 1_001, fired: 1, lastTaskId: 't' };
      const answers = await Promise.all(
        [context.driver, context.peer, context.driver, context.peer].map(async (driver) =>
          driver.schedules?.advance(step),
        ),
      );
      assert.equal(answers.filter((answer) => answer === true).length, 1);
      const read = await find(one.name);
      assert.deepEqual(
        [read?.dueAt, read?.dueFingerprint, read?.lastRunAt, read?.lastTaskId, read?.totalRunCount],
        [2_000, 'f', 1_001, 't', 1],
      );
    });

    it('keep the longest schedule, and what its due instant was computed from', async () => {
      const field = (length: number): string => '1'.padEnd(length, ',1');
      const schedule = {
        kind: 'crontab',
        minute: field(239),
        hour: field(95),
        dayOfMonth: field(123),
        monthOfYear: field(63),
        dayOfWeek: field(63),
        timezone: 'America/Argentina/ComodRivadavia',
      } as const;
      const one = entry(name(), { schedule });
      await store().upsert([one]);
      const fingerprint = scheduleFingerprint(schedule);
      const step = { name: one.name, fingerprint, dueAt: undefined, nextDueAt: 1_000 };
      assert.equal(await store().advance(step), true);
      const read = await find(one.name);
      assert.deepEqual(withoutDefaults(read?.schedule as ScheduleEntry['schedule']), schedule);
      assert.equal(read?.dueFingerprint, fingerprint);
    });

    it('advance to never, and switch off', async () => {
      const one = entry(name(), { oneOff: true });
      await store().upsert([one]);
      const base = { name: one.name, fingerprint: 'f' };
      await store().advance({ ...base, dueAt: undefined, nextDueAt: 1_000 });
      await store().advance({ ...base, dueAt: 1_000, nextDueAt: undefined, disable: true, firedAt: 1_000, fired: 1 });
      const read = await find(one.name);
      assert.deepEqual([read?.dueAt, read?.enabled], [undefined, false]);
    });

    it('publish with the advance or not at all, where they say so', async () => {
      if (!store().capabilities.atomicFire) return;
      const queue = await context.queue();
      const one = entry(name());
      await store().upsert([one]);
      const base = { name: one.name, fingerprint: 'f' };
      const [won, lost] = [message(queue), message(queue)];
      await store().advance({ ...base, dueAt: undefined, nextDueAt: 1_000 });
      assert.equal(await store().advance({ ...base, dueAt: 1_000, nextDueAt: 2_000, publish: [won] }), true);
      assert.equal(await store().advance({ ...base, dueAt: 1_000, nextDueAt: 2_000, publish: [lost] }), false);
      const consumer = await context.consumer([queue]);
      assert.deepEqual(idsOf(await receive(consumer, 1)), [won.id]);
      assert.deepEqual(await consumer.receive({ max: 1, signal: AbortSignal.timeout(50) }), []);
    });

    it('claim an occurrence for one beat only, until it is fired or the claim ends', async () => {
      const one = entry(name());
      await store().upsert([one]);
      await store().advance({ name: one.name, fingerprint: 'f', dueAt: undefined, nextDueAt: 1_000 });
      const peer = context.peer.schedules;
      assert(peer);
      const claim = { name: one.name, dueAt: 1_000, ttlMs: 200 };
      assert.equal(await store().claim({ ...claim, owner: 'a' }), true);
      assert.equal(await peer.claim({ ...claim, owner: 'b' }), false);
      assert.equal(await store().claim({ ...claim, owner: 'a' }), true, 'it may ask again');
      await eventually(async () => assert.equal(await peer.claim({ ...claim, ttlMs: 30_000, owner: 'b' }), true));
      assert.equal(await store().claim({ ...claim, owner: 'a' }), false);
      await peer.advance({ name: one.name, fingerprint: 'f', dueAt: 1_000, nextDueAt: 2_000 });
      assert.equal(await peer.claim({ ...claim, owner: 'b' }), false, 'it was fired');
      assert.equal(await store().claim({ ...claim, dueAt: 2_000, owner: 'a' }), true);
    });

    it('advance nothing for an entry that is gone', async () => {
      assert.equal(await store().advance({ name: name(), fingerprint: 'f', dueAt: undefined, nextDueAt: 1 }), false);
    });
  });
}

/** Its own store, because a sync removes whatever code declared before. */
export function scheduleSyncSuite(context: ConformanceContext, { describe, it }: TestRunner): void {
  describe('schedules that code declares', () => {
    it('are created, follow the code, keep an operator’s edits, and go when the code drops them', async () => {
      const store = context.driver.schedules;
      assert(store);
      const find = async (wanted: string) => (await store.list()).find((one) => one.name === wanted);
      const [a, b, c, own] = ['a', 'b', 'c', 'own'].map((prefix) => `${prefix}-${randomUUID()}`) as [
        string,
        string,
        string,
        string,
      ];
      await store.upsert([entry(own)]);
      await store.syncDeclared([entry(a), entry(b), entry(c)]);
      await store.advance({ name: a, fingerprint: 'f', dueAt: undefined, nextDueAt: 5_000 });
      const edited = await find(b);
      assert(edited);
      await store.upsert([{ ...strip(edited), enabled: false, args: ['edited'] }]);

      const later = { schedule: { kind: 'interval', everyMs: 60_000 } as const, description: 'v2' };
      await store.syncDeclared([entry(a, later), entry(b, later)]);
      const [readA, readB] = [await find(a), await find(b)];
      assert.deepEqual(readA?.schedule, later.schedule);
      assert.equal(readA?.dueAt, 5_000, 'a sync keeps the due instant; beat notices the new fingerprint');
      assert.deepEqual([readB?.enabled, readB?.args, readB?.description], [false, ['edited'], 'v2']);
      assert.deepEqual(readB?.schedule, later.schedule);
      assert.equal(await find(c), undefined);
      assert(await find(own), 'what an operator made stays');

      await store.syncDeclared([]);
      assert.equal(await find(a), undefined);
      assert(await find(b), 'an edited entry stays when the code drops it');

      await syncedByManyAtOnce(context);
    });
  });
}

async function syncedByManyAtOnce(context: ConformanceContext): Promise<void> {
  const names = Array.from({ length: 5 }, () => `race-${randomUUID()}`);
  const entries = names.map((one) => entry(one));
  const { driver, peer } = context;
  await Promise.all([driver, peer, driver, peer].map(async (one) => one.schedules?.syncDeclared(entries)));
  const stored = (await driver.schedules?.list())?.map((one) => one.name) ?? [];
  for (const one of names) assert.equal(stored.filter((other) => other === one).length, 1);
}

function strip(stored: StoredEntry): ScheduleEntry {
  const { dueAt: _1, dueFingerprint: _2, lastRunAt: _3, lastTaskId: _4, totalRunCount: _5, ...rest } = stored;
  return rest;
}

function withoutDefaults(schedule: ScheduleEntry['schedule']): Record<string, unknown> {
  const defaults: Record<string, unknown> = { anchor: 0, gap: 'run', dayRule: 'and' };
  return Object.fromEntries(
    Object.entries(schedule).filter(([key, value]) => value !== undefined && defaults[key] !== value),
  );
}
