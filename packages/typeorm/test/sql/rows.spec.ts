import type { Driver, OutgoingMessage, ResultRecord, ScheduleSpec, TaskState } from '@taskqueue/core';
import { SOLAR_EVENTS, TASK_STATES, mayReplace, silentLogger } from '@taskqueue/core';
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDriver } from '../../src/index.js';
import { encodedMessage, messageColumns } from '../../src/sql/message-row.js';
import { specOf, specRow } from '../../src/sql/schedule-row.js';
import type { TestDatabase } from '../databases.js';
import { testDatabases } from '../databases.js';
import { outgoing } from '../../../../test/support/outgoing.js';

const anyText = fc.string({ unit: 'binary', maxLength: 40 });
const nastyText = fc.oneof(
  anyText,
  fc.constantFrom('', '\0', '\x15', '\x1e', '\x1f', '\ud800', 'a\x1eb', '"\\', '{}', 'NULL'),
);

const anyMessage: fc.Arbitrary<OutgoingMessage> = fc
  .record({
    headers: fc.dictionary(anyText, fc.jsonValue()),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      nastyText.map((text) => new TextEncoder().encode(text)),
    ),
    contentType: anyText,
  })
  .map(({ headers, body, contentType }) => {
    const base = outgoing('rows');
    const message = { headers, properties: {}, contentType, contentEncoding: 'utf-8', body };
    return { ...base, message: { ...message, headers: JSON.parse(JSON.stringify(headers)) } };
  });

describe('a message as columns', () => {
  it('is the same message again, byte for byte', () => {
    fc.assert(
      fc.property(anyMessage, ({ message, ...rest }) => {
        const again = encodedMessage(messageColumns({ ...rest, message }));
        expect(again.headers).toEqual(message.headers);
        expect(Buffer.from(again.body)).toEqual(Buffer.from(message.body));
        expect(again.contentType).toBe(message.contentType);
      }),
    );
  });

  it.each([
    ['id', { id: '' }],
    ['id', { id: 'x'.repeat(256) }],
    ['id', { id: 'a\0b' }],
    ['queue', { queue: 'a\x1eb' }],
    ['task', { task: '' }],
    ['priority', { priority: 10 }],
    ['priority', { priority: 0.5 }],
    ['eta', { eta: Number.NaN }],
    ['delayMs', { delayMs: Infinity }],
  ])('is refused for a bad %s', (field, overrides) => {
    expect(() => messageColumns(outgoing('q', overrides))).toThrow(
      expect.objectContaining({ name: 'UsageError', fields: expect.objectContaining({ field }) }),
    );
  });
});

describe('a schedule as columns', () => {
  const spec: fc.Arbitrary<ScheduleSpec> = fc.oneof(
    fc.record({
      kind: fc.constant('interval' as const),
      everyMs: fc.integer({ min: 1, max: 1e12 }),
      anchor: fc.integer({ min: 1, max: 1e12 }),
    }),
    fc.record({ kind: fc.constant('clocked' as const), at: fc.integer({ min: 0, max: 4e12 }) }),
    fc.record({
      kind: fc.constant('solar' as const),
      event: fc.constantFrom(...SOLAR_EVENTS),
      latitude: fc.double({ min: -90, max: 90, noNaN: true }),
      longitude: fc.double({ min: -180, max: 180, noNaN: true }),
    }),
    fc.record({
      kind: fc.constant('crontab' as const),
      minute: fc.constantFrom('*', '0', '*/5'),
      hour: fc.constantFrom('*', '3'),
      dayOfMonth: fc.constantFrom('*', '1'),
      monthOfYear: fc.constantFrom('*', 'jan'),
      dayOfWeek: fc.constantFrom('*', 'mon-fri'),
      timezone: fc.constantFrom('UTC', 'Europe/Berlin'),
    }),
  );

  it('is the same schedule again', () => {
    fc.assert(
      fc.property(spec, (one) => {
        expect(specOf(specRow(one).columns)).toEqual(one);
      }),
    );
  });
});

for (const [name, open] of await testDatabases()) {
  describe(`rows on ${name}`, () => {
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

    it('give back any message that was accepted', async () => {
      const consumer = await driver.broker?.consume({ queues: ['rows'], consumerId: 'c', leaseMs: 30_000 });
      await fc.assert(
        fc.asyncProperty(fc.array(anyMessage, { minLength: 1, maxLength: 5 }), async (messages) => {
          const outcomes = await driver.broker?.publish(messages);
          expect(outcomes?.map((outcome) => outcome.status)).toEqual(messages.map(() => 'accepted'));
          const deliveries = (await consumer?.receive({ max: 5, signal: AbortSignal.timeout(5_000) })) ?? [];
          const seen = deliveries.map(({ message }) => [message.headers, Buffer.from(message.body)]);
          expect(seen).toEqual(messages.map(({ message }) => [message.headers, Buffer.from(message.body)]));
          await consumer?.settle(deliveries.map((delivery) => ({ kind: 'ack', delivery })));
        }),
        { numRuns: 40 },
      );
    });

    it('give back any text of a result to the letter, alone or among others', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(nastyText, { minLength: 1, maxLength: 4 }), async (texts) => {
          const records = texts.map((text): ResultRecord => ({
            taskId: randomUUID(),
            state: 'FAILURE',
            name: 'n',
            run: 1,
            attempts: 1,
            result: { contentType: 'text/plain', contentEncoding: 'utf-8', text },
            failure: { type: 'E', module: 'm', message: text, stack: text },
          }));
          await driver.results?.put(records);
          const read = await driver.results?.get(records.map((record) => record.taskId));
          expect(read).toEqual(records);
        }),
        { numRuns: 40 },
      );
    });

    it('take or refuse any sequence of records as core’s table of states does', async () => {
      const step = fc.record({ state: fc.constantFrom(...TASK_STATES), run: fc.integer({ min: 0, max: 3 }) });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), fc.boolean(), async (steps, together) => {
          const taskId = randomUUID();
          const records = steps.map((one, index) => ({ ...one, taskId, name: 'n', attempts: index }));
          const expected: string[] = [];
          let current: { state: TaskState; run: number } | undefined;
          for (const record of records) {
            const stored = current === undefined || mayReplace(current, record);
            expected.push(stored ? 'stored' : 'superseded');
            if (stored) current = record;
          }
          const answers: unknown[] = [];
          if (together) answers.push(...((await driver.results?.put(records)) ?? []));
          else for (const record of records) answers.push(...((await driver.results?.put([record])) ?? []));
          expect(answers).toEqual(expected);
          expect((await driver.results?.get([taskId]))?.[0]).toMatchObject(current as object);
        }),
        { numRuns: 60 },
      );
    });

    it('refuse one bad message of a batch and accept the others', async () => {
      const batch = [outgoing('mixed'), outgoing('mixed', { priority: 99 }), outgoing('mixed')];
      const outcomes = await driver.broker?.publish(batch);
      expect(outcomes?.map((outcome) => outcome.status)).toEqual(['accepted', 'refused', 'accepted']);
    });
  });
}
