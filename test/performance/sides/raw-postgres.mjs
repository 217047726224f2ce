// The raw client doing the same claims: the driver's own table and rows, one statement to claim a batch with SKIP
// LOCKED, one to delete it, each message parsed. No lease, fence, order of queues, wake-up or pipeline.
import pg from 'pg';
import { silentLogger } from '@taskqueue/core';
import { createDriver } from '@taskqueue/typeorm';
import { messageRow } from './envelope.mjs';

const INSERT = `insert into taskqueue_message (task_id, task, queue, urgency, enqueued_at, envelope, body)
  select t, 'noop', 'default', 9, 0, e, b from unnest($1::text[], $2::text[], $3::text[]) as x(t, e, b)`;
const CLAIM = `update taskqueue_message set consumer = 1, run = run + 1 where id in (
    select id from taskqueue_message where queue = 'default' and state = 0 and consumer = 0
    order by urgency, id limit $1 for update skip locked) returning id, run, envelope, body`;

export async function open(url) {
  const driver = createDriver(url);
  await driver.connect({ logger: silentLogger });
  await driver.close();
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    options: '-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off',
  });
  const insert = (rows) =>
    pool.query({
      name: 'insert',
      text: INSERT,
      values: [rows.map((row) => row.id), rows.map((row) => row.envelope), rows.map((row) => row.body)],
    });
  let stopped = false;
  let loop;
  return {
    enqueue: (index) => insert([messageRow(index)]),
    enqueueBulk: (indexes) => insert(indexes.map(messageRow)),
    async work(concurrency, onTask) {
      const size = Math.max(250, concurrency);
      loop = (async () => {
        while (!stopped) {
          const { rows } = await pool.query({ name: 'claim', text: CLAIM, values: [size] });
          for (const { envelope, body } of rows) onTask(JSON.parse(body)[0][0], JSON.parse(envelope));
          if (rows.length > 0)
            await pool.query({
              name: 'done',
              text: 'delete from taskqueue_message where id = any($1)',
              values: [rows.map((row) => row.id)],
            });
          else await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })();
    },
    async close() {
      stopped = true;
      await loop;
      await pool.end();
    },
  };
}
