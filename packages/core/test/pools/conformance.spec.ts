import { afterAll, beforeAll, describe, it } from 'vitest';
import { describePool } from '../../src/conformance/index.js';
import { opensPools } from './pools-under-test.js';

const runner = { describe, it, beforeAll, afterAll };

describePool('async', { preemptible: false, processes: false }, opensPools('async'), runner);
describePool('solo', { preemptible: false, processes: false, single: true }, opensPools('solo'), runner);
describePool('threads', { preemptible: true, processes: false }, opensPools('threads'), runner);
describePool('prefork', { preemptible: true, processes: true }, opensPools('prefork'), runner);
