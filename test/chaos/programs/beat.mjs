import { Beat, declareEntry } from '@taskqueue/core';
import { openQueue } from './queue.mjs';

const queue = await openQueue();
const declared = Array.from({ length: Number(process.env.SCHEDULES ?? 3) }, (_, index) =>
  declareEntry({
    name: `tick-${index}`,
    task: 'tick',
    every: 500 + index * 100,
    misfire: 'all',
    misfireLimit: 1000,
    misfireGrace: '1h',
  }),
);
const beat = new Beat({ ...queue, declared });
process.on('SIGTERM', () => {
  void beat
    .stop()
    .then(() => queue.close())
    .then(() => process.exit(0));
});
await beat.start();
process.send?.('ready');
