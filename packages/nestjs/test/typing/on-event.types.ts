/* Compiled, not run: which methods @OnTaskEvent and its kin fit on. */
import type { ClusterEventOf, FailureRecord } from '@taskqueue/core';
import type { ProcessEventOf } from '../../src/index.js';
import { OnBeatEvent, OnTaskEvent, OnWorkerEvent } from '../../src/index.js';

export class Fits {
  @OnTaskEvent('task-failed')
  one(_event: ProcessEventOf<'task-failed'>): void {}

  @OnTaskEvent('task-failed')
  part(_event: { readonly failure: FailureRecord }): void {}

  @OnTaskEvent('task-failed')
  nothing(): void {}

  @OnTaskEvent(['task-failed', 'task-retried'])
  several({ runtimeMs }: ProcessEventOf<'task-failed' | 'task-retried'>): number {
    return runtimeMs;
  }

  @OnTaskEvent('task-failed', { scope: 'cluster' })
  async cluster({ exception, hostname }: ClusterEventOf<'task-failed'>): Promise<string> {
    return `${hostname} ${exception ?? ''}`;
  }

  @OnWorkerEvent('worker-failed')
  worker({ error }: { readonly error: Error }): string {
    return error.message;
  }

  @OnWorkerEvent('worker-heartbeat', { scope: 'cluster' })
  beating({ active = 0 }: ClusterEventOf<'worker-heartbeat'>): number {
    return active;
  }

  @OnBeatEvent('beat-online')
  beat({ beat }: { readonly beat: string }): string {
    return beat;
  }
}

export class DoesNotFit {
  // @ts-expect-error -- there is no such event
  @OnTaskEvent('task-failing')
  unknown(): void {}

  // @ts-expect-error -- an event of workers
  @OnTaskEvent('worker-online')
  other(): void {}

  // @ts-expect-error -- the payload is another one in the cluster
  @OnTaskEvent('task-failed', { scope: 'cluster' })
  wrongScope(_event: ProcessEventOf<'task-failed'>): void {}

  // @ts-expect-error -- told in the process only
  @OnTaskEvent('task-ended', { scope: 'cluster' })
  processOnly(): void {}

  // @ts-expect-error -- not every one of the events has a failure
  @OnTaskEvent(['task-failed', 'task-started'])
  notAll(_event: { readonly failure: FailureRecord }): void {}
}
