import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { ControlBus as PlainBus, memoryDriver, silentLogger, systemClock } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { expect, it } from 'vitest';
import { ControlBus, SharedTask, TaskClient, TaskHost, TaskQueueModule, TaskQueueRuntime } from '../src/index.js';

const ran: string[] = [];

@Injectable()
@TaskHost({ rateLimit: '1/m' })
class Limited {
  @SharedTask()
  async slow(name: string): Promise<void> {
    ran.push(name);
  }

  @SharedTask({ rateLimit: 1_000 })
  async quick(name: string): Promise<void> {
    ran.push(name);
  }
}

it('a task has its rate from its decorator or its class, and commands of the application are signed', async () => {
  const secret = 'known to the application';
  const imports = [
    TaskQueueModule.forRoot({
      driver: memoryDriver(),
      embedded: 'worker',
      logger: silentLogger,
      worker: { name: 'w@host', controlSecret: secret, autoscale: '4,2' },
    }),
  ];
  const app = await Test.createTestingModule({ imports, providers: [Limited] }).compile();
  await app.init();
  const tasks = app.get(TaskClient).for(Limited);
  for (const name of ['a', 'b']) await tasks.slow.delay(name);
  for (const name of ['c', 'd', 'e']) await tasks.quick.delay(name);
  await eventually(() => expect([...ran].sort()).toEqual(['a', 'c', 'd', 'e']));
  const grow = async (bus: PlainBus): Promise<unknown> =>
    (await bus.call('pool_grow', {}, { destination: ['w@host'], timeout: '5s' })).get('w@host');
  const { pubsub } = app.get(TaskQueueRuntime).stores;
  expect(await grow(new PlainBus({ pubsub, clock: systemClock }))).toHaveProperty('error');
  expect(await grow(app.get(ControlBus))).toEqual({ ok: 'pool will grow' });
  await app.close();
});
