import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  defineTask,
  PoolHost,
  silentLogger,
  systemClock,
  takeChildPort,
  TaskRegistry,
  validateSettings,
  Worker,
} from '@taskqueue/core';
import { note, openQueue } from './queue.mjs';

// The children of `threads` and `prefork` are this program again.
const port = takeChildPort();
const queue = port === undefined ? await openQueue() : { registry: new TaskRegistry() };

function task(name, body, options = {}) {
  const definition = defineTask(name, options);
  queue.registry.register({
    definition,
    source: name,
    handler: async ({ args, context }) => {
      note({ event: 'start', id: context.id, name, run: context.fence });
      const value = await body(context, ...args);
      note({ event: 'end', id: context.id, name, run: context.fence });
      return value;
    },
  });
}

task('work', async (context, ms) => {
  await sleep(ms, undefined, { signal: context.signal });
  return { run: context.fence };
});
task('block', (context, ms) => {
  const until = performance.now() + ms;
  while (performance.now() < until);
  return { run: context.fence };
});
task('poison', () => {
  process.kill(process.pid, 'SIGKILL');
  return sleep(60_000);
});
task('tick', (context) => context.periodicTaskName);

if (port !== undefined) {
  const common = { registry: queue.registry, settings: validateSettings({}), logger: silentLogger, clock: systemClock };
  const end = await new PoolHost({ port, ...common }).serve();
  process.exit(end === 'left' ? 0 : 1);
}
const worker = new Worker({ ...queue, children: { entry: fileURLToPath(import.meta.url), argv: [] } });
process.on('SIGTERM', () => {
  void worker
    .stop()
    .then(() => queue.close())
    .then(() => process.exit(0));
});
await worker.start();
process.send?.('ready');
