// Counts the statements that this process sends to a database, whichever client library sends them; Redis commands are
// statements too.
import { createRequire } from 'node:module';
import pg from 'pg';
import { sqliteDriver } from '@taskqueue/typeorm';

/** Must be called before the side is opened. Answers a function that says how many there were. */
export async function countStatements(url) {
  let count = 0;
  const wrap = (prototype, ...names) => {
    for (const name of names) {
      const original = prototype[name];
      prototype[name] = function (...args) {
        count += 1;
        return original.apply(this, args);
      };
    }
  };
  // The packages may have client libraries of their own.
  const of = (name) => createRequire(createRequire(import.meta.url).resolve(name));
  if (url.startsWith('redis')) {
    // The peers' is there only when they are installed, which a quick pass does not do.
    const peers = await import('ioredis').catch(() => undefined);
    for (const { Redis } of new Set([of('@taskqueue/redis')('ioredis'), ...(peers === undefined ? [] : [peers])])) {
      wrap(Redis.prototype, 'sendCommand');
    }
  } else if (url.startsWith('postgres')) {
    for (const { Client } of new Set([pg, of('@taskqueue/typeorm')('pg')])) wrap(Client.prototype, 'query');
  } else {
    const Database = sqliteDriver();
    const db = new Database(':memory:');
    wrap(Object.getPrototypeOf(db.prepare('select 1')), 'run', 'get', 'all');
    wrap(Database.prototype, 'exec', 'pragma');
    db.close();
  }
  return () => count;
}
