import { describe } from 'vitest';
import { redisIsInstalled } from '../support/redis-server.js';
import { chaos } from './scenarios.js';

// On a server of its own, which keeps what it has accepted.
describe.skipIf(!redisIsInstalled)('[redis]', () => chaos('redis'));
