import { Controller, Injectable, Scope } from '@nestjs/common';
import type { ClusterEventOf } from '@taskqueue/core';
import { EventReceiver } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { ProcessEventOf } from '../../src/index.js';
import {
  OnBeatEvent,
  OnTaskEvent,
  OnWorkerEvent,
  SharedTask,
  TaskQueueLifecycle,
  TaskQueueRuntime,
} from '../../src/index.js';
import { applications } from '../application-under-test.js';

const boot = applications(afterEach);

@Injectable()
class Tasks {
  @SharedTask({ name: 'add' })
  async add(x: number, y: number): Promise<number> {
    return x + y;
  }
  @SharedTask({ name: 'fail' })
  async fail(): Promise<void> {
    throw new RangeError('over');
  }
}

@Injectable()
class Journal {
  readonly lines: string[] = [];

  @OnTaskEvent(['task-publishing', 'task-sent', 'task-received', 'task-started', 'task-retried'])
  simple({ type, task }: { readonly type: string; readonly task: { readonly name: string } }): void {
    this.lines.push(`${type} ${task.name}`);
  }

  @OnTaskEvent('task-succeeded')
  async succeeded({ task, value }: ProcessEventOf<'task-succeeded'>): Promise<void> {
    this.lines.push(`${task.name} gave ${String(value)} for ${String(task.message?.args)}`);
  }

  @OnTaskEvent('task-failed')
  @OnTaskEvent('task-ended')
  failedOrEnded(event: ProcessEventOf<'task-failed' | 'task-ended'>): void {
    this.lines.push(event.type === 'task-failed' ? `failed: ${event.failure.message}` : `ended ${event.outcome}`);
  }

  @OnWorkerEvent(['worker-starting', 'worker-online', 'worker-stopping', 'worker-offline'])
  worker({ type }: { readonly type: string }): void {
    this.lines.push(type);
  }

  @OnBeatEvent(['beat-starting', 'beat-online', 'beat-offline'])
  beat({ type }: { readonly type: string }): void {
    this.lines.push(type);
  }
}

const failureOf = (booting: Promise<unknown>): Promise<{ readonly problems: readonly { readonly path: string }[] }> =>
  booting.then(
    () => expect.fail('it should not have started'),
    (error: unknown) => error as never,
  );

describe('listeners to events', () => {
  it('see the way of a task and the life of a worker', async () => {
    const { app, client, queue } = await boot({ providers: [Tasks, Journal] });
    const { lines } = app.get(Journal);
    await client.for(Tasks).add.delay(2, 3);
    expect(lines.splice(0)).toEqual(['task-publishing add', 'task-sent add']);
    await queue.drain();
    expect(lines.splice(0)).toEqual([
      'worker-starting',
      'worker-online',
      'task-received add',
      'task-started add',
      'add gave 5 for 2,3',
      'ended succeeded',
      'worker-stopping',
      'worker-offline',
    ]);
    await client.for(Tasks).fail.delay();
    await queue.drain();
    expect(lines).toEqual(expect.arrayContaining(['task-started fail', 'failed: over', 'ended failed']));
  });

  it('see the life of a beat', async () => {
    const { app } = await boot({ providers: [Tasks, Journal] });
    const { lines } = app.get(Journal);
    const beat = await app.get(TaskQueueLifecycle).startBeat();
    expect(lines.splice(0)).toEqual(['beat-starting', 'beat-online']);
    await beat.stop();
    await beat.stop();
    expect(lines).toEqual(['beat-offline']);
  });

  it('that fail, at once or later, are logged, and no task is the worse for it', async () => {
    const errors: string[] = [];
    @Injectable()
    class Broken {
      @OnTaskEvent(['task-publishing', 'task-started'])
      atOnce(): void {
        throw new Error('at once');
      }
      @OnTaskEvent('task-succeeded')
      async later(): Promise<void> {
        throw new Error('later');
      }
    }
    const ignore = (): void => undefined;
    const logger = { fatal: ignore, warn: ignore, log: ignore, debug: ignore, verbose: ignore };
    const error = (message: string): void => void errors.push(message);
    const { client, queue } = await boot({ providers: [Tasks, Broken] }, { logger: { ...logger, error } });
    const handle = await client.for(Tasks).add.delay(1, 1);
    await queue.drain();
    expect(await handle.result()).toBe(2);
    expect(errors).toEqual([
      'Broken.atOnce failed on task-publishing: Error: at once',
      'Broken.atOnce failed on task-started: Error: at once',
      'Broken.later failed on task-succeeded: Error: later',
    ]);
  });

  it('hear the cluster, once per event however many listen', async () => {
    @Injectable()
    class Watch {
      readonly heard: string[] = [];
      @OnTaskEvent(['task-sent', 'task-started'])
      @OnWorkerEvent('worker-starting')
      own(): void {}
      @OnTaskEvent(['task-sent', 'task-succeeded'], { scope: 'cluster' })
      tasks(event: ClusterEventOf<'task-sent' | 'task-succeeded'>): void {
        this.heard.push(`${event.type} ${event.id}`);
      }
      @OnWorkerEvent('worker-online', { scope: 'cluster' })
      worker({ hostname, software }: ClusterEventOf<'worker-online'>): void {
        this.heard.push(`${software} ${hostname}`);
      }
    }
    const { app, client, queue } = await boot(
      { providers: [Tasks, Watch] },
      { client: { sentEvents: true }, worker: { events: true, name: 'w@host' } },
    );
    const handle = await client.for(Tasks).add.delay(2, 3);
    await queue.drain();
    const { heard } = app.get(Watch);
    await app.get(TaskQueueRuntime).close();
    await eventually(() => {
      expect([...heard].sort()).toEqual([
        `js-taskqueue w@host`,
        `task-sent ${handle.id}`,
        `task-succeeded ${handle.id}`,
      ]);
    });
  });

  it('can be written by hand, with the receiver', async () => {
    const { app, client, queue } = await boot({ providers: [Tasks] }, { worker: { events: true } });
    const types: string[] = [];
    const ear = app.get(EventReceiver).receive(({ type }) => types.push(type), { types: ['task-succeeded'] });
    await ear.ready;
    await client.for(Tasks).add.delay(2, 3);
    await queue.drain();
    await eventually(() => expect(types).toEqual(['task-succeeded']));
    await ear.close();
  });

  it('that cannot be called are refused, all at once', async () => {
    const untyped = OnTaskEvent as (...args: unknown[]) => MethodDecorator;
    @Injectable({ scope: Scope.REQUEST })
    class Scoped {
      @OnTaskEvent('task-sent')
      sent(): void {}
    }
    @Injectable()
    class Wrong {
      @untyped('task-failing')
      type(): void {}
      @untyped('worker-online')
      family(): void {}
      @untyped([])
      none(): void {}
      @untyped('task-ended', { scope: 'cluster' })
      cluster(): void {}
      @untyped('task-sent', { scope: 'galaxy' })
      scope(): void {}
    }
    @Controller()
    class Door {
      @OnTaskEvent('task-sent')
      sent(): void {}
    }
    const { problems } = await failureOf(boot({ providers: [Scoped, Wrong], controllers: [Door] }));
    expect(problems.map(({ path }) => path).sort()).toEqual([
      'Door.sent',
      'Scoped.sent',
      'Wrong.cluster',
      'Wrong.family',
      'Wrong.none',
      'Wrong.scope',
      'Wrong.type',
    ]);
  });
});
