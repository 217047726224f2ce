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
import { Scene } from './scene.js';

const isPossible = python !== undefined && redisIsInstalled;

describe.skipIf(!isPossible)('beside Celery on Redis', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.staffed({ broker: 'Redis' });
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
  priorityScenarios('Redis');
});
