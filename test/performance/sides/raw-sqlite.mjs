// The raw client doing the same claims: the driver's own table, rows and columns, on the same library; one immediate
// transaction deletes what is done and claims a batch, each message parsed. No lease, fence, wake-up or pipeline.
import { silentLogger } from '@taskqueue/core';
import { createDriver, sqliteDriver } from '@taskqueue/typeorm';
import { messageRow } from './envelope.mjs';

const INSERT = `insert into taskqueue_message (task_id, task, queue, urgency, enqueued_at, envelope, body)
  values (?, 'noop', 'default', 9, 0, ?, ?)`;
const CLAIM = `update taskqueue_message set consumer = 1, run = run + 1 where id in (
    select id from taskqueue_message where queue = 'default' and state = 0 and consumer = 0 order by urgency, id limit ?)
  returning id, task_id, task, run, lost_leases, urgency, enqueued_at, envelope, body`;

export async function open(url) {
  const driver = createDriver(url);
  await driver.connect({ logger: silentLogger });
  await driver.close();
  const Database = sqliteDriver();
  const db = new Database(url.replace(/^sqlite:/, ''), { timeout: 10_000 });
  db.pragma('synchronous = FULL');
  const [begin, commit, insert, claim, remove] = [
    'begin immediate',
    'commit',
    INSERT,
    CLAIM,
    'delete from taskqueue_message where id = ?',
  ].map((sql) => db.prepare(sql));
  const inTransaction = (work) => {
    begin.run();
    const value = work();
    commit.run();
    return value;
  };
  const write = (index) => {
    const { id, envelope, body } = messageRow(index);
    insert.run(id, envelope, body);
  };
  let stopped = false;
  let loop;
  return {
    enqueue: async (index) => inTransaction(() => write(index)),
    enqueueBulk: async (indexes) => inTransaction(() => indexes.forEach(write)),
    async work(concurrency, onTask) {
      const size = Math.max(250, concurrency);
      loop = (async () => {
        let done = [];
        while (!stopped) {
          const rows = inTransaction(() => {
            for (const { id } of done) remove.run(id);
            return claim.all(size);
          });
          for (const { envelope, body } of rows) onTask(JSON.parse(body)[0][0], JSON.parse(envelope));
          done = rows;
          await new Promise((resolve) => (rows.length > 0 ? setImmediate(resolve) : setTimeout(resolve, 5)));
        }
        inTransaction(() => done.forEach(({ id }) => remove.run(id)));
      })();
    },
    async close() {
      stopped = true;
      await loop;
      db.close();
    },
  };
}
