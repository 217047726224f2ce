import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TaskError } from '@taskqueue/core';
import type { TaskContext } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { Crontab, SharedTask, Task, TaskClient, TaskQueueModule } from '../../src/index.js';
import type { TaskQueueTestingOptions } from '../../src/testing/index.js';
import { TaskQueueTester, TaskQueueTestingModule } from '../../src/testing/index.js';

@Injectable()
class Outbox {
  readonly sent: string[] = [];
}

@Injectable()
class MailTasks {
  constructor(
    private readonly outbox: Outbox,
    private readonly client: TaskClient,
  ) {}

  @SharedTask({ queue: 'mail' })
  async sendWelcome(userId: number, options?: { readonly at?: Date }): Promise<{ messageId: string }> {
    await this.client.for(MailTasks).record.delay(`welcome ${userId}${options?.at?.toISOString() ?? ''}`);
    return { messageId: `m${userId}` };
  }

  @SharedTask()
  async record(line: string): Promise<void> {
    this.outbox.sent.push(line);
  }

  @SharedTask({ retry: { for: true, max: 2, delay: '1m' } })
  async flaky(@Task() task: TaskContext): Promise<number> {
    if (task.attempt < 3) throw new Error(`attempt ${task.attempt}`);
    return task.attempt;
  }

  @SharedTask({ softTimeLimit: '30s' })
  async hang(@Task() task: TaskContext): Promise<void> {
    await new Promise((_, reject) => {
      task.signal.addEventListener('abort', () => reject(task.signal.reason as Error));
    });
  }

  @SharedTask()
  @Crontab('0 15 * * *')
  async daily(): Promise<void> {
    this.outbox.sent.push('daily');
  }
}

const opened: { close(): Promise<void> }[] = [];

async function setUp(options?: TaskQueueTestingOptions) {
  const app = await Test.createTestingModule({
    imports: [TaskQueueTestingModule.forRoot(options)],
    providers: [MailTasks, Outbox],
  }).compile();
  await app.init();
  opened.push(app);
  return { app, queue: app.get(TaskQueueTester), tasks: app.get(TaskClient).for(MailTasks), outbox: app.get(Outbox) };
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((app) => app.close()));
});

describe('recorded', () => {
  it('runs nothing before drain, and then everything that is due, nested tasks too', async () => {
    const { queue, tasks, outbox } = await setUp();
    const handle = await tasks.sendWelcome.delay(42);
    expect(await handle.state()).toBe('PENDING');
    expect(outbox.sent).toEqual([]);
    await queue.drain();
    expect(await handle.get()).toEqual({ messageId: 'm42' });
    expect(outbox.sent).toEqual(['welcome 42']);
    expect(queue.enqueued().map(({ task }) => task)).toEqual(['MailTasks.sendWelcome', 'MailTasks.record']);
  });

  it('says what was enqueued, typed by the class', async () => {
    const { queue, tasks } = await setUp();
    const at = new Date('2031-01-01T00:00:00Z');
    await tasks.sendWelcome.applyAsync([1, { at }], { countdown: '10m', headers: { tenant: 'a' } });
    queue.expectEnqueued(MailTasks).sendWelcome(1, { at });
    const task = queue
      .expectEnqueued(MailTasks, { queue: 'mail', eta: 'later', headers: { tenant: 'a' } })
      .sendWelcome(1, {
        at,
      });
    expect(task.args).toEqual([1, { at }]);
    queue.expectNotEnqueued(MailTasks).sendWelcome(2);
    queue.expectNotEnqueued(MailTasks).record();
    expect(() => queue.expectEnqueued(MailTasks).sendWelcome(2)).toThrow(
      /Expected MailTasks\.sendWelcome\(2\) to be enqueued\. Enqueued:\n {2}- MailTasks\.sendWelcome\(1, /,
    );
    expect(() => queue.expectNotEnqueued(MailTasks).sendWelcome()).toThrow(/not to be enqueued/);
    queue.clear();
    queue.expectNotEnqueued(MailTasks).sendWelcome();
  });

  it('moves time for instants, and drain runs what fell due', async () => {
    const { queue, tasks, outbox } = await setUp();
    await tasks.record.applyAsync(['later'], { countdown: '2h' });
    await queue.advance('1h');
    await queue.drain();
    expect(outbox.sent).toEqual([]);
    await queue.advance('1h');
    await queue.drain();
    expect(outbox.sent).toEqual(['later']);
  });

  it('runs retries as time goes on', async () => {
    const { queue, tasks } = await setUp();
    const handle = await tasks.flaky.delay();
    for (const state of ['RETRY', 'RETRY', 'SUCCESS']) {
      await queue.drain();
      expect(await handle.state()).toBe(state);
      await queue.advance('1m');
    }
    expect(await handle.get()).toBe(3);
  });

  it('lets limits pass while a task hangs', async () => {
    const { queue, tasks } = await setUp();
    const handle = await tasks.hang.delay();
    const drained = queue.drain();
    await queue.advance('31s');
    await drained;
    await expect(handle.get()).rejects.toMatchObject({ code: 'SOFT_TIME_LIMIT_EXCEEDED' });
  });

  it('sends what schedules ask for', async () => {
    const { queue, outbox } = await setUp();
    await queue.runBeat();
    queue.expectNotEnqueued(MailTasks).daily();
    await queue.advance('1d');
    expect(queue.expectEnqueued(MailTasks).daily()).toMatchObject({ by: 'beat' });
    await queue.drain();
    expect(outbox.sent).toEqual(['daily']);
  });

  it('runs a registered task in whatever queue it was sent to', async () => {
    const { queue, tasks, outbox } = await setUp();
    await tasks.record.applyAsync(['odd'], { queue: 'odd' });
    await queue.drain();
    expect(outbox.sent).toEqual(['odd']);
  });

  it('leaves tasks of other applications where they are', async () => {
    const { app, queue } = await setUp();
    const handle = await app.get(TaskClient).sendTask('python.add', [1, 2], {}, { queue: 'python' });
    await queue.drain();
    expect(await handle.state()).toBe('PENDING');
  });
});

describe('inline', () => {
  it('runs a task and what it enqueues before delay resolves', async () => {
    const { queue, tasks, outbox } = await setUp({ mode: 'inline' });
    const handle = await tasks.sendWelcome.delay(7);
    expect(await handle.state()).toBe('SUCCESS');
    expect(outbox.sent).toEqual(['welcome 7']);
    queue.expectEnqueued(MailTasks).sendWelcome(7);
  });

  it('runs concurrent calls, each before its own delay resolves', async () => {
    const { tasks } = await setUp({ mode: 'inline' });
    const handles = await Promise.all([1, 2, 3].map((id) => tasks.sendWelcome.delay(id)));
    expect(await Promise.all(handles.map((handle) => handle.state()))).toEqual(['SUCCESS', 'SUCCESS', 'SUCCESS']);
  });

  it('runs what is due later at its instant', async () => {
    const { queue, tasks } = await setUp({ mode: 'inline' });
    const handle = await tasks.flaky.delay();
    expect(await handle.state()).toBe('RETRY');
    await queue.advance('2m');
    expect(await handle.get()).toBe(3);
  });

  it('gives failures as a caller of the real queue sees them', async () => {
    const { queue, tasks } = await setUp({ mode: 'inline' });
    const hanging = tasks.hang.delay();
    await queue.advance('31s');
    const handle = await hanging;
    await expect(handle.get()).rejects.toBeInstanceOf(TaskError);
  });

  it('runs scheduled tasks while time goes on', async () => {
    const { queue, outbox } = await setUp({ mode: 'inline' });
    await queue.runBeat();
    await queue.advance('1d');
    expect(outbox.sent).toEqual(['daily']);
  });
});

describe('the module', () => {
  it('stands in for the one of an application, whose other options stay', async () => {
    @Module({
      imports: [TaskQueueModule.forRoot({ driver: 'redis://nowhere', defaultQueue: 'own', embedded: 'both' })],
      providers: [MailTasks, Outbox],
    })
    class AppModule {}
    const builder = Test.createTestingModule({ imports: [AppModule] });
    const queue = TaskQueueTestingModule.replaceIn(builder);
    const app = await builder.compile();
    await app.init();
    await app.get(TaskClient).for(MailTasks).record.delay('x');
    queue.expectEnqueued(MailTasks, { queue: 'own' }).record('x');
    await queue.drain();
    expect(app.get(Outbox).sent).toEqual(['x']);
    await app.close();
  });

  it('says so when it is asked too early', () => {
    const queue = TaskQueueTestingModule.replaceIn(Test.createTestingModule({}));
    expect(() => queue.expectEnqueued(MailTasks)).toThrow(/Compile the testing module first/);
  });

  it('takes a real clock, which cannot be moved', async () => {
    const { queue, tasks, outbox } = await setUp({ clock: 'real' });
    await tasks.record.delay('now');
    await queue.drain();
    expect(outbox.sent).toEqual(['now']);
    await expect(queue.advance('1s')).rejects.toMatchObject({ code: 'STATE_INVALID' });
  });

  it('leaves nothing open, also when a task still hangs', async () => {
    const resources = () =>
      process
        .getActiveResourcesInfo()
        .filter((name) => name !== 'Immediate')
        .sort();
    const before = resources();
    const { app, queue, tasks } = await setUp({ mode: 'recorded' });
    await queue.runBeat();
    await tasks.hang.delay();
    const draining = queue.drain();
    await app.close();
    await draining;
    // What was open before may have closed meanwhile: it is the test runner's.
    const added = (): string[] => {
      const known = [...before];
      return resources().filter((name) => !known.includes(name) || known.splice(known.indexOf(name), 1).length === 0);
    };
    await eventually(() => expect(added()).toEqual([]));
  });
});
