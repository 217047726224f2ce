import assert from 'node:assert/strict';
import { afterEach, describe, expect, it } from 'vitest';
import { occurrenceTaskId } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { Fleet } from './fleet.js';
import { allEnded, judge } from './judge.js';
import type { StoreKind } from './store.js';
import { openStore } from './store.js';

/** How long the random killing goes on. */
const RANDOM_SECONDS = Number(process.env['CHAOS_SECONDS'] ?? 60);

export interface ChaosOptions {
  /** Of the workers. Default `async`. */
  readonly pool?: 'async' | 'solo' | 'threads' | 'prefork';
  readonly randomSeconds?: number;
}

/** The scenarios, the same for every store and every pool. */
export function chaos(kind: StoreKind, { pool = 'async', randomSeconds = RANDOM_SECONDS }: ChaosOptions = {}): void {
  const fleets: Fleet[] = [];
  const open = async (): Promise<Fleet> => {
    // A child takes its time to boot.
    const slots: Record<string, string> = pool === 'async' ? {} : { TASKQUEUE_WORKER_CONCURRENCY: '3' };
    const fleet = await Fleet.open(await openStore(kind), { TASKQUEUE_WORKER_POOL: pool, ...slots });
    fleets.push(fleet);
    return fleet;
  };
  afterEach(async () => {
    await Promise.all(fleets.splice(0).map((fleet) => fleet.close()));
  });
  const ended = (fleet: Fleet, ids: readonly string[]) =>
    eventually(async () => assert(await allEnded(fleet, ids), 'some tasks have not ended'), 60_000);

  describe(`chaos on ${kind}${pool === 'async' ? '' : ` with the pool ${pool}`}`, () => {
    it('kill -9 of a worker with 1,000 tasks queued and 10 running loses none and repeats only what was cut down', async () => {
      const fleet = await open();
      const handles = await fleet.sender.sendMany(Array.from({ length: 1_000 }, () => ({ task: 'work', args: [20] })));
      const ids = handles.map((handle) => handle.id);
      const victim = await fleet.launch('worker');
      await eventually(() => assert(fleet.ledger().length > 100, 'not under way yet'));
      await fleet.kill(victim);
      await fleet.launch('worker');
      await ended(fleet, ids);
      await judge(fleet, ids);
      expect(new Set(fleet.ledger().map((entry) => entry.pid)).size).toBe(2);
    }, 90_000);

    it('kill -9 of a producer in the middle of bulk enqueues keeps all that was accepted', async () => {
      const fleet = await open();
      const producer = await fleet.launch('producer');
      await eventually(() => assert(fleet.ledger().length > 400, 'not under way yet'));
      await fleet.kill(producer);
      const accepted = fleet.ledger().map((entry) => entry.id);
      await fleet.launch('worker');
      await ended(fleet, accepted);
      await judge(fleet, accepted);
    }, 90_000);

    it('a task that blocks the event loop for twice the lease is not run twice', async () => {
      const fleet = await open();
      // With no slot left nothing is asked of the broker, which on Redis would renew leases, too.
      const busy = { TASKQUEUE_WORKER_LEASE: '4s', TASKQUEUE_WORKER_CONCURRENCY: '1' };
      await fleet.launch('worker', busy);
      await fleet.launch('worker', busy);
      const handle = await fleet.sender.sendTask('block', [9_000]);
      expect(await handle.get({ timeout: '40s' })).toEqual({ run: 1 });
      await judge(fleet, [handle.id]);
      expect(fleet.ledger().filter((entry) => entry.event === 'start')).toHaveLength(1);
    }, 60_000);

    // RabbitMQ does not tell a runner that died from one that gave the task back, so the first return blames nobody.
    const starts = kind === 'rabbitmq' ? 4 : 3;
    it(`a task that kills its process is dead after ${starts} deliveries, and its neighbours are not`, async () => {
      const fleet = await open();
      const neighbours = await fleet.sender.sendMany(Array.from({ length: 30 }, () => ({ task: 'work', args: [150] })));
      const poison = await fleet.sender.sendTask('poison');
      let running = true;
      const keepOneAlive = (async () => {
        while (running) {
          const worker = await fleet.launch('worker', { TASKQUEUE_WORKER_LEASE: '1s' });
          fleet.killed.add(worker.pid as number);
          await new Promise((resolve) => {
            worker.once('exit', resolve);
            if (worker.exitCode !== null || worker.signalCode !== null) resolve(undefined);
          });
        }
      })().catch(() => undefined);
      await expect(poison.get({ timeout: '60s' })).rejects.toMatchObject({ code: 'WORKER_LOST' });
      const ids = neighbours.map((handle) => handle.id);
      await ended(fleet, ids);
      running = false;
      const records = await fleet.results.get(ids);
      expect(new Set(records.map((record) => record?.state))).toEqual(new Set(['SUCCESS']));
      expect(fleet.ledger().filter((entry) => entry.event === 'start' && entry.id === poison.id)).toHaveLength(starts);
      const dead = await fleet.driver.inspector?.deadLetters({ limit: 10 });
      expect(dead?.messages.map((message) => [message.id, message.reason])).toEqual([[poison.id, 'lost 3 workers']]);
      await fleet.close();
      fleets.splice(0);
      await keepOneAlive;
    }, 90_000);

    it('SIGTERM hands back what is not finished, which starts elsewhere at once', async () => {
      const fleet = await open();
      const worker = await fleet.launch('worker', {
        TASKQUEUE_WORKER_SHUTDOWN_GRACE: '1s',
        TASKQUEUE_WORKER_LEASE: '60s',
      });
      const [short, long] = [await fleet.sender.sendTask('work', [300]), await fleet.sender.sendTask('work', [8_000])];
      await eventually(() => assert.equal(fleet.ledger().length, 2));
      await fleet.launch('worker', { TASKQUEUE_WORKER_LEASE: '60s' });
      const began = Date.now();
      expect(await fleet.terminate(worker)).toBe(0);
      expect(Date.now() - began).toBeLessThan(4_000);
      expect(await short.result()).toEqual({ run: 1 });
      expect(await long.get({ timeout: '20s' })).toEqual({ run: 2 });
      const runs = fleet.ledger().filter((entry) => entry.event === 'start' && entry.id === long.id);
      expect(runs).toHaveLength(2);
      expect((runs[1]?.at ?? Infinity) - began, 'it started elsewhere long before the lease was over').toBeLessThan(
        6_000,
      );
    }, 60_000);

    it('a worker that was frozen for longer than its lease starts nothing that others have taken over', async () => {
      const fleet = await open();
      const frozen = await fleet.launch('worker', { TASKQUEUE_WORKER_LEASE: '1s' });
      const send = async (count: number): Promise<string[]> => {
        const handles = await fleet.sender.sendMany(
          Array.from({ length: count }, () => ({ task: 'work', args: [30] })),
        );
        return handles.map((handle) => handle.id);
      };
      const ids = await send(600);
      await eventually(() => assert(fleet.ledger().length > 300, 'not under way yet'));
      await fleet.freeze(frozen);
      await fleet.launch('worker', { TASKQUEUE_WORKER_LEASE: '1s' });
      await ended(fleet, ids);
      const thawedAt = Date.now();
      frozen.kill('SIGCONT');
      await ended(fleet, await send(50));
      expect(await fleet.terminate(frozen)).toBe(0);
      const late = fleet
        .ledger()
        .filter((entry) => entry.event === 'start' && entry.pid === frozen.pid && entry.at >= thawedAt);
      // Some may have been frozen between the last look at the lease and their first line; the buffer must not start.
      expect(late.filter((entry) => ids.includes(entry.id)).length).toBeLessThanOrEqual(3);
      const records = await fleet.results.get(ids);
      expect(new Set(records.map((record) => record?.state))).toEqual(new Set(['SUCCESS']));
    }, 60_000);

    it(
      `three workers and two beats killed at random for ${randomSeconds} seconds lose nothing and fire each occurrence once`,
      async () => {
        const fleet = await open();
        const programs = ['worker', 'worker', 'worker', 'beat', 'beat'] as const;
        const running = await Promise.all(programs.map((program) => fleet.launch(program)));
        const accepted: string[] = [];
        const until = Date.now() + randomSeconds * 1_000;
        while (Date.now() < until) {
          const handles = await fleet.sender.sendMany(
            Array.from({ length: 40 }, () => ({ task: 'work', args: [Math.floor(Math.random() * 150)] })),
          );
          accepted.push(...handles.map((handle) => handle.id));
          const victim = Math.floor(Math.random() * programs.length);
          await fleet.kill(running[victim] as (typeof running)[number]);
          running[victim] = await fleet.launch(programs[victim] as (typeof programs)[number]);
        }
        await ended(fleet, accepted);
        // What a beat published that died before it could count it is counted by another when its claim has ended.
        await eventually(async () => {
          for (const { name, dueAt } of await fleet.schedules.list()) {
            assert(dueAt !== undefined && dueAt > Date.now() - 1_000, `${name} is behind`);
          }
        }, 30_000);
        const beats = running.slice(3);
        await Promise.all(beats.map((beat) => fleet.terminate(beat)));
        const entries = await fleet.schedules.list();
        expect(entries).toHaveLength(3);
        const counted: string[] = [];
        for (const entry of entries) {
          assert(entry.schedule.kind === 'interval' && entry.dueAt !== undefined);
          const { everyMs } = entry.schedule;
          // Every occurrence since the first: by count, and each by its own id.
          const due = Array.from(
            { length: entry.totalRunCount },
            (_, index) => (entry.dueAt as number) - (index + 1) * everyMs,
          );
          expect(entry.totalRunCount).toBeGreaterThan((randomSeconds * 1_000) / everyMs / 2);
          counted.push(...due.map((instant) => occurrenceTaskId(entry.name, instant)));
        }
        await ended(fleet, counted);
        await judge(fleet, counted);
        await judge(fleet, accepted);
        const periodic = fleet.ledger().filter((entry) => entry.event === 'start' && entry.name === 'tick');
        const uncounted = new Set(periodic.map((entry) => entry.id));
        for (const id of counted) uncounted.delete(id);
        expect([...uncounted], 'no occurrence besides the counted ones').toEqual([]);
      },
      randomSeconds * 1_000 + 120_000,
    );
  });
}
