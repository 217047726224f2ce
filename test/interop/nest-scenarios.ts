import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { SharedTask, TaskClient, TaskQueueModule } from '@taskqueue/nestjs';
import { describe, expect, it } from 'vitest';
import type { Scene } from './scene.js';

@Injectable()
class Greetings {
  constructor(private readonly client: TaskClient) {}

  /** Asks Python for a sum on its way. */
  @SharedTask({ name: 'nest.greet', params: ['name', 'a', 'b'] })
  async greet(name: string, a: number, b: number): Promise<string> {
    const sum = await this.client.sendTask<number>('py.add', [a, b], {}, { queue: this.pythonQueue() });
    return `${name}: ${await sum.get({ timeout: '20s' })}`;
  }

  private pythonQueue(): string {
    return process.env['INTEROP_NEST_PYTHON_QUEUE'] as string;
  }
}

/** The same, through Nest. */
export function nestScenarios(scene: () => Scene): void {
  describe('a Nest application', () => {
    it('runs what Python sends, and has Python run something for it', async () => {
      const queue = scene().queue('nest');
      process.env['INTEROP_NEST_PYTHON_QUEUE'] = scene().pythonQueue;
      const { broker, results } = scene().drivers();
      const options = { defaultQueue: queue, dialect: '5.2', embedded: 'worker', worker: { logTasks: false } } as const;
      const app = await Test.createTestingModule({
        imports: [TaskQueueModule.forRoot({ ...options, broker, ...(results === undefined ? {} : { results }) })],
        providers: [Greetings],
      }).compile();
      app.useLogger(false);
      await app.init();
      try {
        const source = "app.send_task('nest.greet', ('Ada', 1), {'b': 2}, queue=queue).get(timeout=20)";
        expect(await scene().python.run(source, { queue })).toBe('Ada: 3');
      } finally {
        await app.close();
      }
    });
  });
}
