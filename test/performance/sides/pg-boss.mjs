import { PgBoss } from 'pg-boss';
import { payload } from './payload.mjs';

export async function open(url) {
  const boss = new PgBoss({ connectionString: url, max: 10, supervise: false, schedule: false });
  boss.on('error', () => undefined);
  await boss.start();
  await boss.createQueue('noop').catch(() => undefined);
  return {
    enqueue: (index) => boss.send('noop', payload(index)),
    enqueueStamped: (sent) => boss.send('noop', { ...payload(0), sent }),
    enqueueBulk: (indexes) =>
      boss.insert(
        'noop',
        indexes.map((index) => ({ data: payload(index) })),
      ),
    enqueueDelayed: (items) =>
      boss.insert(
        'noop',
        items.map(({ index, at }) => ({ data: { ...payload(index), at }, startAfter: new Date(at).toISOString() })),
      ),
    work: (concurrency, onTask) =>
      boss.work(
        'noop',
        { batchSize: Math.max(2, concurrency), pollingIntervalSeconds: 0.5, burstWhenBatchFull: true },
        async (jobs) => {
          for (const job of jobs) onTask(job.data, job.data.at);
        },
      ),
    close: () => boss.stop({ graceful: false, close: true, timeout: 1_000 }),
  };
}
