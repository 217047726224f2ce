import type { ModuleMetadata } from '@nestjs/common';
import type { TestingModule } from '@nestjs/testing';
import { Test } from '@nestjs/testing';
import type { ResultRecord, TaskHandle } from '@taskqueue/core';
import { TaskClient } from '@taskqueue/core';
import type { TaskQueueTestingOptions } from '../src/testing/index.js';
import { TaskQueueTester, TaskQueueTestingModule } from '../src/testing/index.js';

/** An application on a queue of its own in memory. */
export class ApplicationUnderTest {
  private constructor(
    readonly app: TestingModule,
    readonly queue: TaskQueueTester,
    readonly client: TaskClient,
  ) {}

  static async boot(metadata: ModuleMetadata, options: TaskQueueTestingOptions = {}): Promise<ApplicationUnderTest> {
    const app = await Test.createTestingModule({
      ...metadata,
      imports: [TaskQueueTestingModule.forRoot(options), ...(metadata.imports ?? [])],
    }).compile();
    await app.init();
    return new ApplicationUnderTest(app, app.get(TaskQueueTester), app.get(TaskClient));
  }

  /** Sends by name, runs what is due, gives the record. */
  async run(task: string, args: readonly unknown[] = [], options: Parameters<TaskClient['sendTask']>[3] = {}) {
    const handle = await this.client.sendTask(task, args, {}, options);
    return this.ended(handle);
  }

  async ended(handle: TaskHandle): Promise<ResultRecord & { readonly value: unknown }> {
    await this.queue.drain();
    return { ...((await handle.record()) as ResultRecord), value: await handle.result() };
  }

  close(): Promise<void> {
    return this.app.close();
  }
}

/** Boots applications and closes them after each case. */
export function applications(afterEach: (hook: () => Promise<unknown>) => void) {
  const open: ApplicationUnderTest[] = [];
  afterEach(() => Promise.all(open.splice(0).map((one) => one.close())));
  return async (...args: Parameters<typeof ApplicationUnderTest.boot>): Promise<ApplicationUnderTest> => {
    const one = await ApplicationUnderTest.boot(...args);
    open.push(one);
    return one;
  };
}
