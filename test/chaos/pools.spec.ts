import { chaos } from './scenarios.js';

/** The pool async has the specs of the stores. */
for (const pool of ['threads', 'prefork'] as const) chaos('sqlite', { pool, randomSeconds: 20 });
