import { afterAll, beforeAll, describe } from 'vitest';
import { redisIsInstalled } from '../support/redis-server.js';
import { everyScenario } from './every-scenario.js';
import { python } from './python-peer.js';
import { rpcScenarios } from './rpc-scenarios.js';
import { Scene } from './scene.js';

const isPossible = python !== undefined && process.env['TEST_AMQP_URL'] !== undefined && redisIsInstalled;

describe.skipIf(!isPossible)('beside Celery on RabbitMQ', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.staffed({ broker: 'RabbitMQ' });
  });
  afterAll(() => scene?.close());

  everyScenario('RabbitMQ', () => scene);
});

describe.skipIf(!isPossible)('beside Celery on RabbitMQ, with results by rpc', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.staffed({ broker: 'RabbitMQ', rpc: true });
  });
  afterAll(() => scene?.close());

  rpcScenarios(() => scene);
});
