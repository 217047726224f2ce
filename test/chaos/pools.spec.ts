import { describe } from 'vitest';
import { redisIsInstalled } from '../support/redis-server.js';
import { chaos } from './scenarios.js';

/** The pool async has the specs of the stores. */
for (const pool of ['threads', 'prefork'] as const) {
  chaos('sqlite', { pool, randomSeconds: 20 });
  describe.skipIf(!redisIsInstalled)('[redis]', () => chaos('redis', { pool, randomSeconds: 10 }));
}
