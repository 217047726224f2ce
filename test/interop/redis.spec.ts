import { afterAll, beforeAll, describe } from 'vitest';
import { redisIsInstalled } from '../support/redis-server.js';
import { everyScenario } from './every-scenario.js';
import { python } from './python-peer.js';
import { Scene } from './scene.js';

const isPossible = python !== undefined && redisIsInstalled;

describe.skipIf(!isPossible)('beside Celery on Redis', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.staffed({ broker: 'Redis' });
  });
  afterAll(() => scene?.close());

  everyScenario('Redis', () => scene);
});
