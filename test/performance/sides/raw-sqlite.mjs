// The bare minimum on SQLite: insert, claim in batches, delete, each in an immediate transaction on the same library.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { sqliteDriver } from '@taskqueue/typeorm';
import { payload } from './payload.mjs';

export async function open(url) {
  const file = url.replace(/^sqlite:/, '').replace(/\.sqlite$/, '.raw.sqlite');
  mkdirSync(dirname(file), { recursive: true });
  const Database = sqliteDriver();
  const db = new Database(file, { timeout: 10_000 });
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${process.env.RAW_SYNCHRONOUS ?? 'FULL'}`);
  db.prepare(
    'create table if not exists raw_task (id integer primary key, claimed integer not null default 0, body text not null)',
  ).run();
  db.prepare('create index if not exists raw_ready on raw_task (id) where claimed = 0').run();
  const begin = db.prepare('begin immediate');
  const commit = db.prepare('commit');
  const insert = db.prepare('insert into raw_task (body) values (?)');
  const claim = db.prepare(
    'update raw_task set claimed = 1 where id in (select id from raw_task where claimed = 0 order by id limit ?) returning id, body',
  );
  const remove = db.prepare('delete from raw_task where id = ?');
  const inTransaction = (work) => {
    begin.run();
    const value = work();
    commit.run();
    return value;
  };
  let stopped = false;
  let loop;
  return {
    name: 'raw client (SQLite)',
    enqueue: async (index) => inTransaction(() => insert.run(JSON.stringify(payload(index)))),
    enqueueBulk: async (indexes) =>
      inTransaction(() => indexes.forEach((index) => insert.run(JSON.stringify(payload(index))))),
    async work(concurrency, onTask) {
      const size = Math.max(100, concurrency);
      loop = (async () => {
        let done = [];
        while (!stopped) {
          const rows = inTransaction(() => {
            for (const { id } of done) remove.run(id);
            return claim.all(size);
          });
          for (const { body } of rows) onTask(JSON.parse(body));
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
