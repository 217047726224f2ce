import { silentLogger } from '@taskqueue/core';
import type { Driver } from '@taskqueue/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDriver } from '../src/index.js';
import type { TestDatabase } from './databases.js';
import { testDatabases } from './databases.js';
import { outgoing } from '../../../test/support/outgoing.js';

const cursor = (position: unknown): string => Buffer.from(JSON.stringify(position)).toString('base64url');

for (const [name, open] of await testDatabases()) {
  describe(`the list of results on ${name}`, () => {
    let database: TestDatabase;
    let driver: Driver;

    beforeAll(async () => {
      database = await open();
      driver = createDriver(database.url);
      await driver.connect({ logger: silentLogger });
    });

    afterAll(async () => {
      await driver.close();
      await database.dispose();
    });

    it.each([
      ['nothing', {}],
      ['null', null],
      ['a list', []],
      ['text', 'x'],
      ['a record that is null', { record: null }],
      ['a record without an id', { record: { createdAt: 1 } }],
      ['an instant that is text', { record: { createdAt: '1', taskId: 'a' } }],
      ['an instant that no column holds', { record: { createdAt: 1e300, taskId: 'a' } }],
      ['an id that no column holds', { record: { createdAt: 1, taskId: 'a\u0000' } }],
      ['an id that is too long', { record: { createdAt: 1, taskId: 'x'.repeat(256) } }],
      ['an id that is an object', { record: { createdAt: 1, taskId: { $ne: '' } } }],
      ['a part of a message', { message: 1.5 }],
      ['text for a message', { message: '1 or 1=1' }],
      ['more than a position', { message: 1, limit: 5 }],
    ])('refuses a cursor with %s', async (_what, position) => {
      await expect(driver.results?.list?.({ limit: 1, cursor: cursor(position) })).rejects.toMatchObject({
        name: 'UsageError',
        fields: { field: 'cursor' },
      });
    });

    it('refuses a cursor that is cut off', async () => {
      const whole = cursor({ record: { createdAt: 1, taskId: 'a' }, message: 7 });
      for (const cut of [whole.slice(0, -1), whole.slice(2), `${whole}!`.slice(1)]) {
        await expect(driver.results?.list?.({ limit: 1, cursor: cut })).rejects.toMatchObject({
          fields: { field: 'cursor' },
        });
      }
    });

    it('goes through what waits and what has ended, each once, while more comes', async () => {
      const waiting = Array.from({ length: 5 }, () => outgoing('list', { task: 'list.mixed' }));
      await driver.broker?.publish(waiting);
      const ended = Array.from({ length: 5 }, (_, index) => `ended-${index}`);
      await driver.results?.put(
        ended.map((taskId, index) => ({
          taskId,
          name: 'list.mixed',
          state: 'SUCCESS',
          run: 1,
          attempts: 1,
          createdAt: 1_000 + index,
        })),
      );
      const seen: string[] = [];
      let next: string | undefined;
      do {
        const page = await driver.results?.list?.({
          names: ['list.mixed'],
          limit: 3,
          ...(next === undefined ? {} : { cursor: next }),
        });
        seen.push(...(page?.records ?? []).map((record) => record.taskId));
        next = page?.nextCursor;
        await driver.broker?.publish([outgoing('list', { task: 'list.mixed' })]);
      } while (next !== undefined);
      const expected = [...waiting.map((message) => message.id).toReversed(), ...ended.toReversed()];
      expect(seen).toEqual(expected);
    });
  });
}
