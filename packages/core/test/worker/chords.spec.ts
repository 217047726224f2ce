import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/ambient/clock.js';
import { silentLogger } from '../../src/ambient/logger.js';
import { BrokerError } from '../../src/errors/errors.js';
import { PublishEvents } from '../../src/events/publish-events.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import type { WireSignature } from '../../src/message/task-message.js';
import type { ChordMember, ChordStore } from '../../src/ports/chord-store.js';
import { eventually } from '../../src/testing/eventually.js';
import { Worker } from '../../src/worker/worker.js';
import type { QueueUnderTest } from './worker-under-test.js';
import { queuesUnderTest } from './worker-under-test.js';

const open = queuesUnderTest();

/** Counts like Celery's, in memory. `away` makes the next calls fail. */
class CountingChords implements ChordStore {
  readonly log: string[] = [];
  away = 0;
  private readonly arrived = new Map<string, ChordMember>();

  constructor(private size: number | undefined) {}

  open(chords: Parameters<ChordStore['open']>[0]): Promise<void> {
    for (const one of chords) {
      this.size = one.size;
      this.log.push(`open ${one.size}`);
    }
    return Promise.resolve();
  }

  arrive(member: ChordMember): ReturnType<ChordStore['arrive']> {
    if (this.away > 0) {
      this.away -= 1;
      return Promise.reject(new BrokerError({ code: 'BROKER_UNAVAILABLE', message: 'away', retryable: true }));
    }
    this.arrived.set(member.taskId, member);
    this.log.push(`arrive ${member.state}`);
    const members = [...this.arrived.values()].sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
    return Promise.resolve(members.length === this.size ? members : undefined);
  }

  discard(): Promise<void> {
    this.log.push('discard');
    return Promise.resolve();
  }
}

const signature = (task: string, options: Record<string, unknown> = {}): WireSignature => ({
  task,
  args: [],
  kwargs: {},
  options,
  subtask_type: null,
  immutable: false,
});

/** A queue whose results' driver counts chords, and the tasks of these cases. */
function queueWith(chords: ChordStore): QueueUnderTest {
  const queue = open({}, Object.assign(memoryDriver(), { chords }));
  queue.task('value', (value: unknown) => value);
  queue.task('fail', () => {
    throw new RangeError('broken');
  });
  queue.task('body', (values: unknown) => values);
  return queue;
}

/** As a Python client sends a member. */
async function sendMember(
  queue: QueueUnderTest,
  task: string,
  init: { readonly index: number; readonly body: WireSignature; readonly expires?: string },
): Promise<void> {
  const id = randomUUID();
  const { index, body, expires = null } = init;
  const args = task === 'fail' ? [] : [index];
  await queue.stores.broker.publish([
    {
      id,
      task,
      queue: queue.settings.defaultQueue,
      priority: 0,
      message: {
        headers: { lang: 'py', task, id, group: 'g', group_index: index, retries: 0, expires },
        properties: { correlation_id: id },
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        body: new TextEncoder().encode(JSON.stringify([args, {}, { chord: body }])),
      },
    },
  ]);
}

describe("a chord of Celery's", () => {
  it('has its body sent by the worker that ends the last member, and is discarded after that', async () => {
    const chords = new CountingChords(2);
    const queue = queueWith(chords);
    const id = randomUUID();
    const body = signature('body', { task_id: id });
    await sendMember(queue, 'value', { index: 1, body });
    await sendMember(queue, 'value', { index: 0, body });
    await queue.work();
    expect(await queue.sender.handle(id).get({ timeout: '5s' })).toEqual([0, 1]);
    await eventually(() => expect(chords.log).toEqual(['arrive SUCCESS', 'arrive SUCCESS', 'discard']));
  });

  it.each(['late', 'early'] as const)('has its body told as sent, by a member acknowledged %s', async (ack) => {
    const queue = queueWith(new CountingChords(1));
    queue.task('member', (value: unknown) => value, { ack });
    const told: string[] = [];
    const published = new PublishEvents(silentLogger);
    published.on(({ type, task }) => told.push(`${type} ${task.name} ${task.id}`));
    const { stores, registry, settings } = queue;
    const common = { stores, registry, settings, logger: silentLogger, clock: systemClock, random: () => 0, published };
    const worker = new Worker(common);
    queue.started.push(worker);
    await worker.start();
    const id = randomUUID();
    await sendMember(queue, 'member', { index: 0, body: signature('body', { task_id: id }) });
    expect(await queue.sender.handle(id).get({ timeout: '5s' })).toEqual([0]);
    await eventually(() => expect(told).toEqual([`task-publishing body ${id}`, `task-sent body ${id}`]));
  });

  it('waits for a store that is away', async () => {
    const chords = new CountingChords(1);
    chords.away = 2;
    const queue = queueWith(chords);
    const id = randomUUID();
    await sendMember(queue, 'value', { index: 0, body: signature('body', { task_id: id }) });
    const worker = await queue.work();
    expect(await queue.sender.handle(id).get({ timeout: '5s' })).toEqual([0]);
    await eventually(() => expect(worker.status().processed).toBe(2));
  });

  it('fails with a member that failed, tells the errbacks of the body, and the chord around it', async () => {
    const chords = new CountingChords(1);
    const queue = queueWith(chords);
    const [inner, outer] = [randomUUID(), randomUUID()];
    const failed: unknown[] = [];
    queue.task('onError', (id: string) => void failed.push(id));
    const body = signature('body', {
      task_id: inner,
      link_error: [signature('onError')],
      group_id: 'outer',
      group_index: 0,
      chord: signature('body', { task_id: outer }),
    });
    await sendMember(queue, 'fail', { index: 0, body });
    await queue.work();
    await expect(queue.sender.handle(inner).get({ timeout: '5s' })).rejects.toMatchObject({
      failure: {
        type: 'ChordError',
        message: expect.stringMatching(/^Dependency .* raised RangeError\("broken"\)/) as unknown,
      },
    });
    await eventually(() => expect(failed).toEqual([inner]));
    expect(chords.log.filter((line) => line.startsWith('arrive'))).toEqual(['arrive FAILURE', 'arrive FAILURE']);
  });

  it('hears of a member that has expired and never ran', async () => {
    const chords = new CountingChords(1);
    const queue = queueWith(chords);
    const id = randomUUID();
    const body = signature('body', { task_id: id });
    await sendMember(queue, 'value', { index: 0, body, expires: '2020-01-01T00:00:00+00:00' });
    await queue.work();
    await expect(queue.sender.handle(id).get({ timeout: '5s' })).rejects.toMatchObject({
      failure: { type: 'ChordError' },
    });
    expect(chords.log).toContain('arrive REVOKED');
  });
});
