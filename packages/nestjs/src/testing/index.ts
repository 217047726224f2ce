export { TaskQueueTestingModule } from './task-queue-testing.module.js';
export type { TaskQueueTestingOptions, TestQueueOptions } from './task-queue-testing.module.js';
export { TaskQueueTester } from './task-queue-tester.js';
export type { Expectations, ExpectedCall, TestMode } from './task-queue-tester.js';
export { assertEnqueued, FakeClock, refuteEnqueued } from '@taskqueue/core/testing';
export type { EnqueuedTask, ExpectedTask } from '@taskqueue/core/testing';
