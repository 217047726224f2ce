import { makeWorkerUtils, run, Logger } from 'graphile-worker';
import { payload } from './payload.mjs';

const logger = new Logger(() => () => undefined);

export async function open(url, { tuned = false } = {}) {
  const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize: 10, logger });
  await utils.migrate();
  let runner;
  return {
    enqueue: (index) => utils.addJob('noop', payload(index)),
    enqueueStamped: (sent) => utils.addJob('noop', { ...payload(0), sent }),
    enqueueBulk: (indexes) => utils.addJobs(indexes.map((index) => ({ identifier: 'noop', payload: payload(index) }))),
    enqueueDelayed: (items) =>
      utils.addJobs(
        items.map(({ index, at }) => ({ identifier: 'noop', payload: { ...payload(index), at }, runAt: new Date(at) })),
      ),
    async work(concurrency, onTask) {
      const worker = tuned
        ? { localQueue: { size: Math.max(500, concurrency) }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
        : {};
      runner = await run({
        connectionString: url,
        concurrency,
        maxPoolSize: 12,
        logger,
        noHandleSignals: true,
        noPreparedStatements: false,
        taskList: { noop: async (data) => onTask(data, data.at) },
        preset: { worker: { ...worker, concurrentJobs: concurrency, pollInterval: 500 } },
      });
    },
    async close() {
      await runner?.stop().catch(() => undefined);
      await utils.release();
    },
  };
}
