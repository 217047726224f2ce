/* Compiled, not run: the tester's questions follow the class. */
import type { TaskContext } from '@taskqueue/core';
import type { TaskQueueTester } from '../../src/testing/index.js';

declare class MailTasks {
  sendWelcome(userId: number, task: TaskContext): Promise<void>;
  private hidden(): Promise<void>;
  readonly field: string;
}

export function questions(queue: TaskQueueTester): void {
  queue.expectEnqueued(MailTasks).sendWelcome(1);
  queue.expectNotEnqueued(MailTasks).sendWelcome(1);
  queue.expectNotEnqueued(MailTasks).sendWelcome();
  // @ts-expect-error -- a number
  queue.expectEnqueued(MailTasks).sendWelcome('1');
  // @ts-expect-error -- arguments are asked for
  queue.expectEnqueued(MailTasks).sendWelcome();
  // @ts-expect-error -- private
  queue.expectEnqueued(MailTasks).hidden();
  // @ts-expect-error -- no method
  queue.expectEnqueued(MailTasks).field();
  // @ts-expect-error -- no such condition
  queue.expectEnqueued(MailTasks, { qeue: 'mail' });
}
