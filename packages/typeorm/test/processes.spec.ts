import { silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import type { Child } from './child.js';
import { startChild } from './child.js';
import type { TestDatabase } from './databases.js';
import { testDatabases } from './databases.js';
import { outgoing } from '../../../test/support/outgoing.js';

const MESSAGES = 2_000;

for (const [name, open] of await testDatabases()) {
  describe(`several processes on ${name}`, () => {
    let database: TestDatabase | undefined;
    let children: Child[] = [];

    afterEach(async () => {
      for (const child of children) child.process.kill('SIGKILL');
      await Promise.all(children.map((child) => child.exited));
      await database?.dispose();
      children = [];
    });

    const begin = async (leaseMs: number) => {
      database = await open();
      const driver = createDriver(database.url);
      await driver.connect({ logger: silentLogger });
      const ids: string[] = [];
      for (let batch = 0; batch < MESSAGES / 500; batch += 1) {
        const messages = Array.from({ length: 500 }, () => outgoing('many'));
        const outcomes = (await driver.broker?.publish(messages)) ?? [];
        expect(outcomes.every((outcome) => outcome.status === 'accepted')).toBe(true);
        ids.push(...messages.map((message) => message.id));
      }
      const { url } = database;
      const spawn = (...mode: string[]): Child => {
        const child = startChild('consume', url, 'many', String(leaseMs), ...mode);
        children.push(child);
        return child;
      };
      return { driver, ids, spawn };
    };
    const settled = (): string[] =>
      children.flatMap((child) =>
        child.messages.filter((one) => one['type'] === 'settled').flatMap((one) => one['ids'] as string[]),
      );
    const runs = (): string[] =>
      children.flatMap((child) =>
        child.messages
          .filter((one) => one['type'] === 'started')
          .flatMap((one) => (one['runs'] as [string, number][]).map(([id, run]) => `${id} ${run}`)),
      );

    it('hand each message to one of four workers, once', async () => {
      const { driver, ids, spawn } = await begin(30_000);
      for (let count = 0; count < 4; count += 1) spawn();
      await eventually(() => expect(settled().length).toBe(MESSAGES), 45_000);
      expect(new Set(settled())).toEqual(new Set(ids));
      expect(new Set(runs())).toEqual(new Set(ids.map((id) => `${id} 1`)));
      await driver.close();
    }, 60_000);

    it('finish everything while workers are killed, and record each end once', async () => {
      const { driver, ids, spawn } = await begin(1_000);
      const holders = [spawn('hold'), spawn('hold')];
      await Promise.all(holders.map((holder) => holder.message('started')));
      const workers = [spawn(), spawn(), spawn(), spawn()];
      for (const victim of workers.slice(0, 2)) {
        await victim.message('settled');
        victim.process.kill('SIGKILL');
        spawn();
      }
      for (const holder of holders) holder.process.kill('SIGKILL');
      await eventually(async () => {
        const [queue] = (await driver.inspector?.queues()) ?? [];
        // A queue that nobody declared is listed while it has messages.
        expect(queue).toBeUndefined();
      }, 50_000);
      const held = holders.flatMap((holder) =>
        ((holder.messages.at(-1)?.['runs'] ?? []) as [string, number][]).map(([id]) => id),
      );
      expect(held.length).toBeGreaterThan(0);
      for (const id of held) expect(runs().filter((run) => run.startsWith(id)).length).toBeGreaterThan(1);
      // The same delivery never went to two workers, and an end that was told was never told again.
      expect(new Set(runs()).size).toBe(runs().length);
      expect(new Set(settled()).size).toBe(settled().length);
      for (let start = 0; start < ids.length; start += 500) {
        const records = (await driver.results?.get(ids.slice(start, start + 500))) ?? [];
        expect(records.every((record) => record?.state === 'SUCCESS')).toBe(true);
      }
      await driver.close();
    }, 90_000);
  });
}
