// The bare minimum on PostgreSQL: insert, claim with SKIP LOCKED in batches, delete. No lease, no result, no wake-up.
import pg from 'pg';
import { payload } from './payload.mjs';

export async function open(url, { batch } = {}) {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  await pool.query(
    'create table if not exists raw_task (id bigint generated always as identity primary key, claimed boolean not null default false, body text not null) with (fillfactor = 60)',
  );
  let stopped = false;
  let loop;
  const insert = (bodies) =>
    pool.query({ name: 'insert', text: 'insert into raw_task (body) select unnest($1::text[])', values: [bodies] });
  return {
    name: 'raw client (pg)',
    enqueue: (index) =>
      pool.query({
        name: 'one',
        text: 'insert into raw_task (body) values ($1)',
        values: [JSON.stringify(payload(index))],
      }),
    enqueueBulk: (indexes) => insert(indexes.map((index) => JSON.stringify(payload(index)))),
    async work(concurrency, onTask) {
      const size = batch ?? Math.max(100, concurrency);
      loop = (async () => {
        while (!stopped) {
          const { rows } = await pool.query({
            name: 'claim',
            text: 'update raw_task set claimed = true where id in (select id from raw_task where not claimed order by id limit $1 for update skip locked) returning id, body',
            values: [size],
          });
          for (const { body } of rows) onTask(JSON.parse(body));
          if (rows.length > 0)
            await pool.query({
              name: 'done',
              text: 'delete from raw_task where id = any($1)',
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
