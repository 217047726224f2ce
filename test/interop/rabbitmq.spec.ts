import { afterAll, beforeAll, describe } from 'vitest';
import { redisIsInstalled } from '../support/redis-server.js';
import { nestScenarios } from './nest-scenarios.js';
import { python } from './python-peer.js';
import { callScenarios, outcomeScenarios } from './call-scenarios.js';
import { controlScenarios } from './control-scenarios.js';
import { eventScenarios } from './event-scenarios.js';
import { linkScenarios, revocationScenarios } from './link-scenarios.js';
import { optionScenarios } from './option-scenarios.js';
import { workflowScenarios } from './workflow-scenarios.js';
import { priorityScenarios, sharingScenarios } from './sharing-scenarios.js';
import { rpcScenarios } from './rpc-scenarios.js';
import { Scene } from './scene.js';

const isPossible = python !== undefined && process.env['TEST_AMQP_URL'] !== undefined && redisIsInstalled;

describe.skipIf(!isPossible)('beside Celery on RabbitMQ', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.staffed({ broker: 'RabbitMQ' });
  });
  afterAll(() => scene?.close());

  callScenarios(() => scene);
  outcomeScenarios(() => scene);
  optionScenarios(() => scene);
  linkScenarios(() => scene);
  revocationScenarios(() => scene);
  controlScenarios(() => scene);
  eventScenarios(() => scene);
  workflowScenarios(() => scene);
  sharingScenarios(() => scene);
  nestScenarios(() => scene);
  priorityScenarios('RabbitMQ');
});

describe.skipIf(!isPossible)('beside Celery on RabbitMQ, with results by rpc', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.staffed({ broker: 'RabbitMQ', rpc: true });
  });
  afterAll(() => scene?.close());

  rpcScenarios(() => scene);
});
