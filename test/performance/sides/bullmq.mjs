// BullMQ as its documentation recommends it: finished jobs removed (or kept, when results are asked for).
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { payload } from './payload.mjs';

export async function open(url, { keep = false } = {}) {
  const connect = () => new Redis(url, { maxRetriesPerRequest: null });
  const connections = [connect()];
  const queue = new Queue('noop', {
    connection: connections[0],
    defaultJobOptions: keep ? {} : { removeOnComplete: true, removeOnFail: true },
  });
  await queue.waitUntilReady();
  let worker;
  return {
    enqueue: (index) => queue.add('noop', payload(index)),
    enqueueStamped: (sent) => queue.add('noop', { ...payload(0), sent }),
    enqueueBulk: (indexes) => queue.addBulk(indexes.map((index) => ({ name: 'noop', data: payload(index) }))),
    enqueueDelayed: (items) =>
      queue.addBulk(
        items.map(({ index, at }) => ({
          name: 'noop',
          data: { ...payload(index), at },
          opts: { delay: Math.max(0, at - Date.now()) },
        })),
      ),
    async work(concurrency, onTask) {
      connections.push(connect());
      const run = async ({ data }) => onTask(data, data.at);
      worker = new Worker('noop', run, { connection: connections[1], concurrency });
      worker.on('error', () => undefined);
      await worker.waitUntilReady();
    },
    async close() {
      await worker?.close(true);
      await queue.close();
      for (const connection of connections) connection.disconnect();
    },
  };
}
