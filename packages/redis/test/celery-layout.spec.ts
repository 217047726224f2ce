import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ResultRecord } from '@taskqueue/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNamespace, redisUrl } from './namespace.js';
import type { Namespace } from './namespace.js';
import type { OpenedDriver } from './open-driver.js';
import { ack, idOf, openDriver, take } from './open-driver.js';
import { outgoing } from '../../../test/support/outgoing.js';

/** What Celery itself sent, and what it stored. */
interface Fixture {
  readonly messages: readonly {
    readonly redis_key: string;
    readonly raw: { readonly utf8: string };
    readonly decoded: { readonly headers: Record<string, unknown>; readonly properties: Record<string, unknown> };
  }[];
  readonly result_keys: Readonly<Record<string, { readonly value: { readonly utf8: string } }>>;
  readonly redis_commands: readonly { readonly cmd: readonly string[] }[] & readonly (readonly string[])[];
}

function fixture(name: string): Fixture {
  return JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), 'utf8')) as Fixture;
}

function storedResult(name: string): { readonly id: string; readonly text: string } {
  const [key, stored] = Object.entries(fixture(name).result_keys)[0] as [string, { value: { utf8: string } }];
  return { id: key.slice('celery-task-meta-'.length), text: stored.value.utf8 };
}

const queueName = (): string => `q-${randomUUID()}`;

describe.skipIf(redisUrl === undefined)("Celery's layout", () => {
  let space: Namespace;
  let opened: OpenedDriver;

  beforeAll(async () => {
    space = createNamespace();
    opened = await openDriver({ url: space.url });
  });

  afterAll(async () => {
    await opened.driver.close();
    await space.dispose();
  });

  const key = (name: string): string => space.prefix + name;

  describe('messages', () => {
    it("have Kombu's members, in Kombu's types", async () => {
      const { raw, decoded } = fixture('task_add_delay').messages[0] as Fixture['messages'][number];
      const python = JSON.parse(raw.utf8) as { properties: Record<string, unknown> };
      const queue = queueName();
      const { reply_to, correlation_id } = decoded.properties as Record<string, string>;
      const body = Buffer.from((python as unknown as { body: string }).body, 'base64');
      const message = {
        headers: decoded.headers,
        properties: { correlation_id, reply_to, delivery_mode: 2 },
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        body,
      };
      const id = String(decoded.headers['id']);
      await opened.broker.publish([outgoing(queue, { id, message: message as never })]);
      const [text] = await space.client.lrange(key(queue), 0, -1);
      const { taskqueue, ...ours } = JSON.parse(text as string) as Record<string, unknown> & { taskqueue: number[] };
      expect(taskqueue).toEqual([expect.closeTo(Date.now(), -4), 0, 0]);
      expect(ours).toEqual({
        ...python,
        properties: {
          ...python.properties,
          delivery_info: { exchange: '', routing_key: queue },
          delivery_tag: expect.stringMatching(/^.{8,}-/) as string,
        },
      });
    });

    it('without a priority stand in one line with those of Python', async () => {
      const { raw, decoded } = fixture('task_add_delay').messages[0] as Fixture['messages'][number];
      const queue = queueName();
      const [first, last] = [outgoing(queue), outgoing(queue)];
      await opened.broker.publish([first]);
      await space.client.lpush(key(queue), raw.utf8);
      await opened.broker.publish([last]);
      // As a Python worker takes them,
      const line = await space.client.lrange(key(queue), 0, -1);
      const ids = line.reverse().map((text) => (JSON.parse(text) as { headers: { id: string } }).headers.id);
      expect(ids).toEqual([first.id, decoded.headers['id'], last.id]);
      // and as ours does.
      const taken = await take(await opened.consume([queue]), 3);
      expect(taken.map(idOf)).toEqual(ids);
      expect(taken.map((one) => one.message.properties.priority)).toEqual([0, 0, 0]);
    });

    // Kombu puts 0 to 2, 3 to 5, 6 to 8 and what is more into its lists.
    it.each([
      {
        priorities: 'own' as const,
        kombu: [[0], [5, 4, 3], [8, 7, 6], [11, 10, 9]],
        order: [7, 8, 9, 4, 5, 6, 1, 2, 3, 0],
      },
      {
        priorities: 'kombu' as const,
        kombu: [[0, 2, 1], [5, 4, 3], [8, 7, 6], [9]],
        order: [0, 8, 9, 5, 6, 7, 2, 3, 4, 1],
      },
    ])("go to Kombu's lists and come back in the order of the option: $priorities", async (expected) => {
      const queue = queueName();
      const driver = await openDriver({ url: space.url, priorities: expected.priorities });
      await driver.broker.publish([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((priority) => outgoing(queue, { priority })));
      const lists = [queue, `${queue}\x06\x163`, `${queue}\x06\x166`, `${queue}\x06\x169`];
      const found = await Promise.all(lists.map((list) => space.client.lrange(key(list), 0, -1)));
      const kombu = found.map((texts) =>
        texts.map((text) => (JSON.parse(text) as { properties: { priority: number } }).properties.priority).reverse(),
      );
      expect(kombu).toEqual(expected.kombu);
      const consumer = await driver.consume([queue]);
      const taken = await take(consumer, 10);
      // Within a list in the order of publication.
      expect(taken.map((one) => one.message.properties.priority)).toEqual(expected.order);
      await driver.driver.close();
    });

    it("of Python with a priority are taken in Kombu's order where that is chosen, and keep their number", async () => {
      const queue = queueName();
      const driver = await openDriver({ url: space.url, priorities: 'kombu' });
      const python = (fixture('task_priority_9').messages[0] as Fixture['messages'][number]).raw.utf8;
      await space.client.lpush(key(`${queue}\x06\x169`), python);
      const ours = outgoing(queue);
      await driver.broker.publish([ours]);
      const consumer = await driver.consume([queue]);
      const [first, second] = await take(consumer, 2);
      expect(idOf(first)).toBe(ours.id);
      expect(second?.message.properties.priority).toBe(1);
      await consumer.settle([{ kind: 'release', delivery: second as never }]);
      const [text] = await space.client.lrange(key(`${queue}\x06\x169`), 0, -1);
      expect((JSON.parse(text as string) as { properties: { priority: number } }).properties.priority).toBe(9);
      await driver.driver.close();
    });

    it('that were delayed keep their list, whichever option moves them', async () => {
      const queue = queueName();
      const kombu = await openDriver({ url: space.url, priorities: 'kombu' });
      const [plain, urgent] = [outgoing(queue, { delayMs: 50 }), outgoing(queue, { delayMs: 50, priority: 9 })];
      await opened.broker.publish([plain, urgent]);
      const taken = await take(await kombu.consume([queue]), 2);
      // Kombu's order: what has no priority is first.
      expect(taken.map(idOf)).toEqual([plain.id, urgent.id]);
      await kombu.driver.close();
    });

    it('of a driver without priorities go to the one list, with what Python sends', async () => {
      const queue = queueName();
      const plain = await openDriver({ url: space.url, priorities: 'none' });
      expect(plain.broker.capabilities.priorities).toBe(0);
      await plain.broker.publish([outgoing(queue), outgoing(queue, { priority: 5 })]);
      expect(await space.client.llen(key(queue))).toBe(2);
      await plain.driver.close();
    });

    it('are announced to Kombu by the binding that Celery would make', async () => {
      const queue = queueName();
      await opened.broker.publish([outgoing(queue)]);
      expect(await space.client.smembers(key(`_kombu.binding.${queue}`))).toEqual([`${queue}\x06\x16\x06\x16${queue}`]);
    });

    it.each(['task_add_delay', 'task_countdown', 'task_priority_9', 'task_protocol1', 'task_serializer_msgpack'])(
      'of Python are received as they were sent: %s',
      async (name) => {
        const { redis_key, raw, decoded } = fixture(name).messages[0] as Fixture['messages'][number];
        const queue = queueName();
        await space.client.lpush(key(redis_key.replace('wire', queue)), raw.utf8);
        const consumer = await opened.consume([queue]);
        const [delivery] = await take(consumer, 1);
        expect(delivery).toMatchObject({ queue, run: 1, lostLeases: 0, redelivered: false });
        expect(delivery?.enqueuedAt).toBeUndefined();
        expect(delivery?.message.headers).toEqual(decoded.headers);
        expect(delivery?.message.properties.correlation_id).toBe(decoded.properties['correlation_id']);
        const { body } = JSON.parse(raw.utf8) as { body: string };
        expect(Buffer.from(delivery?.message.body ?? []).toString('base64')).toBe(body);
        expect(await consumer.settle([ack(delivery as never)])).toEqual(['settled']);
        expect(await space.client.keys(key(`*${queue}*leased*`))).toHaveLength(1);
        await consumer.close();
        expect(await space.client.keys(key(`*${queue}*leased*`))).toEqual([]);
      },
    );

    it('of Python are counted when they are given back, and Python can read them again', async () => {
      const { raw } = fixture('task_add_delay').messages[0] as Fixture['messages'][number];
      const queue = queueName();
      await space.client.lpush(key(queue), raw.utf8);
      const consumer = await opened.consume([queue]);
      const [first] = await take(consumer, 1);
      await consumer.settle([{ kind: 'release', delivery: first as never }]);
      const [text] = await space.client.lrange(key(queue), 0, -1);
      const { taskqueue, ...rest } = JSON.parse(text as string) as Record<string, unknown>;
      expect(taskqueue).toEqual([0, 1, 0]);
      expect(rest).toEqual(JSON.parse(raw.utf8));
      const [second] = await take(consumer, 1);
      expect(second).toMatchObject({ run: 2, redelivered: true });
    });

    it('that Kombu restored keep what we count, and say that they come again', async () => {
      const commands = fixture('flow_visibility_timeout_restore').redis_commands.map(({ cmd }) => cmd);
      const restored = commands.find(([command]) => command === 'RPUSH')?.[2] as string;
      const queue = queueName();
      await space.client.rpush(key(queue), restored);
      // Ours that Kombu took and restored: its JSON has spaces, and our member is still the first.
      await space.client.lpush(key(queue), restored.replace('{', '{"taskqueue": [1700000000000, 2, 1], '));
      const consumer = await opened.consume([queue]);
      const [python, ours] = await take(consumer, 2);
      expect(python).toMatchObject({ run: 1, redelivered: true });
      expect(ours).toMatchObject({ run: 3, lostLeases: 1, redelivered: true, enqueuedAt: 1_700_000_000_000 });
      await consumer.settle([{ kind: 'release', delivery: python as never }]);
      const [again] = await take(consumer, 1);
      expect(again).toMatchObject({ run: 2, redelivered: true });
      await consumer.settle([{ kind: 'release', delivery: ours as never }]);
      expect(await space.client.llen(key(`taskqueue:{${key(queue)}}:suspects`))).toBe(1);
    });

    it('that are no messages are handed out for somebody to refuse, and can be buried', async () => {
      const queue = queueName();
      const garbage = ['', 'not json', '[]', '{}', '{"body":1}', '"text"', '{"headers":{}}', 'null', '{'];
      await space.client.lpush(key(queue), ...garbage);
      const good = outgoing(queue);
      await opened.broker.publish([good]);
      const consumer = await opened.consume([queue]);
      const taken = await take(consumer, garbage.length + 1);
      const bad = taken.filter((one) => one.message.headers['id'] !== good.id);
      expect(bad).toHaveLength(garbage.length);
      const [released, ...rest] = bad;
      await consumer.settle([{ kind: 'release', delivery: released as never }]);
      const again = await take(consumer, 1);
      const buried = [...rest, ...again].map((delivery) => ({ kind: 'dead-letter', delivery, reason: 'x' }) as const);
      expect(new Set(await consumer.settle(buried))).toEqual(new Set(['settled']));
      const { messages } = await opened.inspector.deadLetters({ queue, limit: 100 });
      expect(messages).toHaveLength(garbage.length);
      expect(await opened.inspector.redrive(messages.map((one) => one.id))).toHaveLength(garbage.length);
      await take(consumer, garbage.length);
    });

    it('of a task id that Python took are forgotten when nothing waits any more', async () => {
      const queue = queueName();
      const message = outgoing(queue);
      const first = await openDriver({ url: space.url });
      const publish = async (from: OpenedDriver): Promise<string | undefined> =>
        (await from.broker.publish([message]))[0]?.status;
      expect(await publish(first)).toBe('accepted');
      expect(await publish(first)).toBe('duplicate');
      expect(await space.client.rpop(key(queue))).toContain(message.id);
      // Who has sent to this queue for a while believes what the server knows; who begins to has it looked through.
      expect(await publish(first)).toBe('duplicate');
      const second = await openDriver({ url: space.url });
      expect(await publish(second)).toBe('accepted');
      const third = await openDriver({ url: space.url });
      expect(await publish(third)).toBe('duplicate');
      const consumer = await third.consume([queue]);
      await take(consumer, 1);
      const fourth = await openDriver({ url: space.url });
      expect(await publish(fourth)).toBe('duplicate');
      await Promise.all([first, second, third, fourth].map((one) => one.driver.close()));
    });
  });

  describe('results', () => {
    const put = async (name: string): Promise<ResultRecord | undefined> => {
      const { id, text } = storedResult(name);
      await space.client.setex(key(`celery-task-meta-${id}`), 60, text);
      return (await opened.results.get([id]))[0];
    };

    it('of Python are read', async () => {
      expect(await put('result_success')).toMatchObject({ state: 'SUCCESS', result: { text: '5' } });
      expect(await put('result_success_complex')).toMatchObject({
        result: {
          contentType: 'application/json',
          text: '{"args": ["\\u00e9", [1, null]], "kwargs": {"k": {"a": 1.5}}}',
        },
        doneAt: Date.parse('2026-11-20T18:57:30.874Z'),
      });
      expect(await put('result_failure_builtin_exception')).toMatchObject({
        state: 'FAILURE',
        failure: {
          type: 'ValueError',
          module: 'builtins',
          message: 'boom é',
          stack: expect.stringMatching(/^Traceback/),
        },
      });
      expect(await put('result_started')).toMatchObject({ state: 'STARTED' });
      expect((await put('result_started'))?.result).toBeUndefined();
      expect(await put('result_retry')).toMatchObject({
        state: 'RETRY',
        failure: { type: expect.any(String) as string },
      });
      expect(await put('result_revoked_waiting')).toMatchObject({ state: 'REVOKED', failure: { message: 'revoked' } });
      expect(await put('result_progress_custom_state')).toMatchObject({
        state: 'PROGRESS',
        progress: { text: '{"i": 2, "n": 4}' },
      });
      expect((await put('result_children_spawn'))?.children).toHaveLength(1);
      expect(await put('result_extended_success')).toMatchObject({
        name: 'interop.add',
        argsRepr: '(2, 3)',
        kwargsRepr: '{}',
        worker: 'w1@peer',
        queue: 'wire',
        attempts: 1,
      });
    });

    it('are what Celery would have stored, and more', async () => {
      const record: ResultRecord = {
        taskId: randomUUID(),
        state: 'SUCCESS',
        name: 'interop.add',
        run: 1,
        attempts: 2,
        result: { contentType: 'application/json', contentEncoding: 'utf-8', text: '{"a":12345678901234567890}' },
        children: [randomUUID()],
        parentId: randomUUID(),
        groupId: randomUUID(),
        doneAt: 1_700_000_000_123,
        expiresAt: Date.now() + 60_000,
      };
      await opened.results.put([record]);
      const stored = key(`celery-task-meta-${record.taskId}`);
      const text = (await space.client.get(stored)) as string;
      expect(text).toContain('"result":{"a":12345678901234567890}');
      expect(JSON.parse(text)).toMatchObject({
        status: 'SUCCESS',
        traceback: null,
        children: [[[record.children?.[0], null], null]],
        date_done: '2023-11-14T22:13:20.123000+00:00',
        task_id: record.taskId,
        parent_id: record.parentId,
        group_id: record.groupId,
        retries: 1,
      });
      expect(await space.client.pttl(stored)).toBeGreaterThan(50_000);
      expect((await opened.results.get([record.taskId]))[0]).toEqual(record);
    });

    it('of failures are exceptions to Python', async () => {
      const taskId = randomUUID();
      const failure = {
        type: 'SmtpError',
        module: 'builtins',
        message: 'no route',
        stack: 'SmtpError: no route\n at x',
      };
      await opened.results.put([{ taskId, state: 'FAILURE', name: 't', run: 1, attempts: 1, failure }]);
      expect(JSON.parse((await space.client.get(key(`celery-task-meta-${taskId}`))) as string)).toMatchObject({
        status: 'FAILURE',
        result: { exc_type: 'SmtpError', exc_message: ['no route'], exc_module: 'builtins' },
        traceback: failure.stack,
      });
    });

    it('are published on the channel that has the name of their key', async () => {
      const taskId = randomUUID();
      const listener = space.client.duplicate();
      const heard = new Promise<string>((resolve) => listener.on('message', (_channel, text) => resolve(text)));
      await listener.subscribe(key(`celery-task-meta-${taskId}`));
      await opened.results.put([{ taskId, state: 'SUCCESS', name: 't', run: 1, attempts: 1 }]);
      expect(JSON.parse(await heard)).toMatchObject({ status: 'SUCCESS', task_id: taskId });
      listener.disconnect();
    });

    it('of Python that are final stay, and those that are not give way', async () => {
      const final = storedResult('result_success');
      await space.client.set(key(`celery-task-meta-${final.id}`), final.text);
      const record = { state: 'FAILURE', name: 't', run: 5, attempts: 1 } as const;
      expect(await opened.results.put([{ ...record, taskId: final.id }])).toEqual(['superseded']);
      const started = storedResult('result_started');
      await space.client.set(key(`celery-task-meta-${started.id}`), started.text);
      expect(await opened.results.put([{ ...record, taskId: started.id }])).toEqual(['stored']);
    });

    it("use Celery's prefix, which ends in an underscore where the broker's does not", async () => {
      const plain = await openDriver({ url: redisUrl as string, keyPrefix: `${space.prefix}app` });
      const taskId = randomUUID();
      await plain.results.put([{ taskId, state: 'SUCCESS', name: 't', run: 1, attempts: 1 }]);
      expect(await space.client.exists(`${space.prefix}app_celery-task-meta-${taskId}`)).toBe(1);
      await plain.driver.close();
    });
  });
});
