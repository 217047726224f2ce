import { describe, expect, it } from 'vitest';
import { Signature } from '../../src/canvas/signature.js';
import { systemClock } from '../../src/ambient/clock.js';
import { TaskClient } from '../../src/client/task-client.js';
import { TaskSender } from '../../src/client/task-sender.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { BrokerError } from '../../src/errors/errors.js';
import { bodyBytes } from '../../src/message/encoded-message.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { Broker, OutgoingMessage, PublishOutcome } from '../../src/ports/broker.js';
import { composeStores } from '../../src/ports/stores.js';
import { defineTask } from '../../src/task/task-definition.js';
import { TaskRegistry } from '../../src/task/task-registry.js';
import { z } from 'zod';

type Answer = (
  messages: readonly OutgoingMessage[],
  original: () => Promise<readonly PublishOutcome[]>,
) => Promise<readonly PublishOutcome[]>;

/** A sender on a memory store whose publishes are answered by `answers`, one after another, then truly. */
function senderWith(...answers: Answer[]) {
  const driver = memoryDriver();
  const published: string[][] = [];
  const broker = driver.broker as Broker;
  const original = broker.publish.bind(broker);
  broker.publish = (messages, options) => {
    published.push(messages.map((one) => one.id));
    const answer = answers.shift();
    return answer === undefined ? original(messages, options) : answer(messages, () => original(messages, options));
  };
  const registry = new TaskRegistry();
  const common = {
    stores: composeStores({ broker: driver }),
    registry,
    settings: validateSettings({}),
    clock: systemClock,
  };
  return { driver, published, registry, sender: new TaskSender(common), common };
}

const unknown: Answer = (messages) =>
  Promise.resolve(messages.map(() => ({ status: 'unknown', error: new Error('link broke') })));
const away: Answer = () =>
  Promise.reject(new BrokerError({ code: 'BROKER_UNAVAILABLE', message: 'away', retryable: true }));
const retry = { delay: 1, maxDelay: 2 };

describe('sending', () => {
  it('tries again under the same id when the fate is unknown, and enqueues once', async () => {
    const acceptedButUnanswered: Answer = async (messages, original) => {
      await original();
      return unknown(messages, original);
    };
    const { driver, published, sender } = senderWith(acceptedButUnanswered, away);
    const handle = await sender.sendTask('t', [], {}, { retry });
    expect(published).toEqual([[handle.id], [handle.id], [handle.id]]);
    expect(await driver.inspector?.peek({ queue: 'default', status: 'ready', limit: 10 })).toHaveLength(1);
  });

  it('tries only what is open again', async () => {
    const { published, sender } = senderWith((messages) =>
      Promise.resolve(
        messages.map((_, index): PublishOutcome =>
          index === 1 ? { status: 'unknown', error: new Error('x') } : { status: 'accepted' },
        ),
      ),
    );
    const handles = await sender.sendMany([{ task: 'a' }, { task: 'b' }, { task: 'c' }], { retry });
    expect(published).toEqual([handles.map((one) => one.id), [handles[1]?.id]]);
  });

  it('gives up after the retries, and at once with retry: false', async () => {
    const lasting = senderWith(unknown, unknown, unknown);
    await expect(lasting.sender.sendTask('t', [], {}, { retry: { ...retry, max: 2 } })).rejects.toMatchObject({
      code: 'PUBLISH_FAILED',
      retryable: true,
    });
    expect(lasting.published).toHaveLength(3);
    const once = senderWith(away);
    await expect(once.sender.sendTask('t', [], {}, { retry: false })).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
    });
    expect(once.published).toHaveLength(1);
  });

  it('does not try again what was refused for good', async () => {
    const { published, sender } = senderWith((messages) =>
      Promise.resolve(messages.map(() => ({ status: 'refused', error: new Error('too large') }))),
    );
    await expect(sender.sendTask('t', [], {}, { retry })).rejects.toMatchObject({
      code: 'PUBLISH_FAILED',
      retryable: false,
    });
    expect(published).toHaveLength(1);
  });

  it.each([
    [{ countdown: 1, eta: new Date() }, 'eta'],
    [{ countdown: -1 }, 'countdown'],
    [{ countdown: 1e15 }, 'countdown'],
    [{ countdown: 'soon' as never }, 'countdown'],
    [{ eta: new Date('nonsense') }, 'eta'],
    [{ eta: '2030-01-01' as never }, 'eta'],
    [{ expires: 'later' as never }, 'expires'],
    [{ priority: 10 }, 'priority'],
    [{ priority: 0.5 }, 'priority'],
    [{ queue: 'with space' }, 'queue'],
    [{ timeLimit: -1 }, 'timeLimit'],
    [{ retry: { delay: 'x' as never } }, 'retry.delay'],
    [{ retry: { times: 3 } as never }, 'retry.times'],
    [{ manager: {} }, 'manager'],
  ])('refuses %j and names %s', async (options, field) => {
    const { sender } = senderWith();
    await expect(sender.sendTask('t', [], {}, options)).rejects.toMatchObject({ fields: { field } });
  });

  it.each([
    [[() => 1], 'args[0]'],
    [[1, { deep: [Symbol('s')] }], 'args[1].deep[0]'],
    [[Number.NaN], 'args[0]'],
  ])('refuses arguments that cannot travel and names %2$s', async (args, path) => {
    const { sender } = senderWith();
    await expect(sender.sendTask('t', args)).rejects.toMatchObject({ code: 'VALUE_NOT_SERIALIZABLE' });
    await expect(sender.sendTask('t', args)).rejects.toThrow(path);
  });

  it('checks arguments of a task that is known here, before anything is sent', async () => {
    const { registry, sender, published } = senderWith();
    registry.register({
      definition: defineTask('mail', { schema: z.object({ to: z.email() }) }),
      handler: () => undefined,
      source: 'x',
    });
    await expect(
      sender.sendMany([
        { task: 'mail', args: [{ to: 'a@b.example' }] },
        { task: 'mail', args: [{ to: 'x' }] },
      ]),
    ).rejects.toMatchObject({
      code: 'TASK_ARGUMENTS_INVALID',
      fields: { field: 'args[0].to' },
    });
    expect(published).toEqual([]);
  });

  it('writes Celery’s envelope', async () => {
    const { driver, common } = senderWith();
    const sender = new TaskSender({ ...common, settings: validateSettings({ headers: 'full' }) });
    const link = new Signature('next', [1]).set({ queue: 'other' });
    const handle = await sender.sendTask(
      'proj.add',
      [2, 3],
      { key: 'v' },
      { link, headers: { tenant: 'acme' }, timeLimit: '10s', softTimeLimit: '5s', shadow: 'sum' },
    );
    const [message] = (await driver.inspector?.peek({ queue: 'default', status: 'ready', limit: 1 })) ?? [];
    expect(message?.message.headers).toMatchObject({
      lang: 'js',
      task: 'proj.add',
      id: handle.id,
      root_id: handle.id,
      parent_id: null,
      argsrepr: '(2, 3)',
      kwargsrepr: "{'key': 'v'}",
      timelimit: [10, 5],
      shadow: 'sum',
      tenant: 'acme',
      retries: 0,
    });
    const [args, kwargs, embed] = JSON.parse(bodyBytes(message?.message.body ?? '').toString()) as [
      unknown,
      unknown,
      { callbacks: unknown[] },
    ];
    expect([args, kwargs]).toEqual([[2, 3], { key: 'v' }]);
    expect(embed.callbacks).toEqual([
      { task: 'next', args: [1], kwargs: {}, options: { queue: 'other' }, subtask_type: null, immutable: false },
    ]);
  });

  it('leaves out headers that say nothing, and arguments as text, unless told otherwise', async () => {
    const { driver, sender } = senderWith();
    const handle = await sender.sendTask('proj.add', [2, 3]);
    const [waiting] = (await driver.inspector?.peek({ queue: 'default', status: 'ready', limit: 1 })) ?? [];
    expect(waiting?.message.headers).toEqual({
      lang: 'js',
      task: 'proj.add',
      id: handle.id,
      origin: expect.stringMatching(/^gen\d+@/) as unknown,
    });
    expect(waiting?.message.properties).toEqual({});
  });

  it('sends a signature with all of its options', async () => {
    const { driver, sender } = senderWith();
    const own = { soft_time_limit: 2, time_limit: 3, ignore_result: true, shadow: 'b', headers: { tenant: 7 } };
    const signature = new Signature('a').set({ ...own, expires: 3_600, eta: '2100-01-01T00:00:00Z' });
    await sender.sendSignature(signature, { taskId: 'late' });
    await sender.sendSignature(signature, { taskId: 'now', countdown: 0, expires: new Date('2101-01-01') });
    const sent = async (status: 'ready' | 'delayed') =>
      (await driver.inspector?.peek({ queue: 'default', status, limit: 1 }))?.[0];
    const late = await sent('delayed');
    const headers = { timelimit: [3, 2], ignore_result: true, shadow: 'b', tenant: 7 };
    expect(late).toMatchObject({ id: 'late', eta: Date.UTC(2100, 0, 1), message: { headers } });
    const expires = Date.parse(String(late?.message.headers['expires'])) - Date.now();
    expect(expires).toBeGreaterThan(3_000_000);
    expect(expires).toBeLessThanOrEqual(3_600_000);
    expect(await sent('ready')).toMatchObject({
      id: 'now',
      message: { headers: { ...headers, expires: '2101-01-01T00:00:00+00:00' } },
    });
  });

  it('sends a signature with its own options and links', async () => {
    const { driver, sender } = senderWith();
    const signature = new Signature<number>('a', [1], { k: 2 }, { queue: 'sig', priority: 4, countdown: 1 }).linkError(
      new Signature('oops'),
    );
    await sender.sendSignature(signature);
    const [message] = (await driver.inspector?.peek({ queue: 'sig', status: 'delayed', limit: 1 })) ?? [];
    expect(message).toMatchObject({ task: 'a', priority: 4 });
    expect(Buffer.from(message?.message.body ?? []).toString()).toContain('"errbacks": [{"task": "oops"');
  });
});

describe('the typed client', () => {
  class Mail {
    async send(to: string): Promise<number> {
      return to.length;
    }
    async helper(): Promise<void> {}
  }
  const clientWith = () => {
    const { driver, registry, common } = senderWith();
    const definition = defineTask('mail.send', { queue: 'mail' });
    registry.register({ definition, handler: () => undefined, source: 'Mail.send' });
    const readClass = (taskClass: unknown) => new Map(taskClass === Mail ? [['send', definition]] : []);
    return { driver, client: new TaskClient({ ...common, readClass }) };
  };

  it('sends by class, and by prefix without it', async () => {
    const { driver, client } = clientWith();
    await client.for(Mail).send.delay('a@b.example');
    await client.for<Mail>('mail').send.applyAsync(['b'], { priority: 2 });
    const [one, two, three] = await client.for(Mail).send.bulk([['c'], ['d'], ['e']]);
    expect(new Set([one?.id, two?.id, three?.id]).size).toBe(3);
    expect(await driver.inspector?.peek({ queue: 'mail', status: 'ready', limit: 10 })).toHaveLength(5);
  });

  it('names what is not a task, and what is', () => {
    const { client } = clientWith();
    expect(() => client.for(Mail).helper).toThrow(
      /Mail\.helper is not a task\. Mark it with @SharedTask\(\)\. Tasks of Mail are: send\./,
    );
    expect(() => client.for(class Empty {})).toThrow(/Empty has no tasks/);
  });

  it('may be awaited by mistake', async () => {
    const { client } = clientWith();
    const methods = client.for(Mail);
    expect(await Promise.resolve(methods)).toBe(methods);
  });

  it('makes signatures', () => {
    const { client } = clientWith();
    expect(client.for(Mail).send.s('x').toWire()).toMatchObject({ task: 'mail.send', args: ['x'], immutable: false });
    expect(client.for(Mail).send.si('x').toWire()).toMatchObject({ immutable: true });
  });

  it.each([
    ['headers', 'x'],
    ['headers', [1]],
    ['link', 5],
    ['link', [{ task: 'x' }]],
    ['linkError', 'x'],
    ['shadow', 1],
    ['retry', 5],
    ['retry', true],
    ['timeLimit', 0],
    ['softTimeLimit', 0],
    // A manager that is not there must not mean: send it whatever becomes of the transaction.
    ['manager', null],
    ['manager', 5],
  ])('refuses %s: %j before anything is sent', async (field, value) => {
    const { client, driver } = clientWith();
    const options = { [field]: value } as never;
    await expect(client.sendTask('mail.send', [], {}, options)).rejects.toMatchObject({
      code: 'TASK_OPTIONS_INVALID',
      fields: { field },
    });
    expect(await driver.inspector?.queues()).toEqual([]);
  });

  it.each([[null], [5], ['x'], [[]]])('refuses %j as options', async (options) => {
    const { client } = clientWith();
    await expect(client.for(Mail).send.applyAsync(['a'], options as never)).rejects.toMatchObject({
      code: 'TASK_OPTIONS_INVALID',
      fields: { field: 'options' },
    });
  });

  it('refuses one id for several calls', async () => {
    const { client } = clientWith();
    const options = { taskId: 'x' } as never;
    await expect(client.for(Mail).send.bulk([['a'], ['b']], options)).rejects.toMatchObject({
      fields: { field: 'taskId' },
    });
  });
});

describe('a handle', () => {
  it('says what it knows of a task that nobody knows', async () => {
    const { sender } = senderWith();
    const handle = sender.handle('nobody');
    expect([
      await handle.state(),
      await handle.ready(),
      await handle.result(),
      await handle.error(),
      await handle.attempts(),
      await handle.progress(),
    ]).toEqual(['PENDING', false, undefined, undefined, 0, undefined]);
    await expect(handle.get({ timeout: 20 })).rejects.toMatchObject({ code: 'RESULT_TIMEOUT', retryable: true });
    await handle.forget();
  });

  it('obeys the signal', async () => {
    const { sender } = senderWith();
    const reason = new Error('enough');
    await expect(sender.handle('x').get({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const waiting = sender.handle('x').get({ signal: controller.signal });
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  it('needs results', async () => {
    const driver = memoryDriver();
    const stores = composeStores({ broker: driver, results: false });
    const sender = new TaskSender({
      stores,
      registry: new TaskRegistry(),
      settings: validateSettings({}),
      clock: systemClock,
    });
    const handle = await sender.sendTask('t');
    await expect(handle.state()).rejects.toMatchObject({ code: 'RESULTS_REQUIRED' });
  });
});
