import { callScenarios, outcomeScenarios } from './call-scenarios.js';
import { controlScenarios } from './control-scenarios.js';
import { eventScenarios } from './event-scenarios.js';
import { linkScenarios, revocationScenarios } from './link-scenarios.js';
import { nestScenarios } from './nest-scenarios.js';
import { optionScenarios } from './option-scenarios.js';
import type { Scene } from './scene.js';
import { priorityScenarios, sharingScenarios } from './sharing-scenarios.js';
import { workflowScenarios } from './workflow-scenarios.js';

/** What works beside Celery on either broker. */
export function everyScenario(broker: 'Redis' | 'RabbitMQ', scene: () => Scene): void {
  callScenarios(scene);
  outcomeScenarios(scene);
  optionScenarios(scene);
  linkScenarios(scene);
  revocationScenarios(scene);
  controlScenarios(scene);
  eventScenarios(scene);
  workflowScenarios(scene);
  sharingScenarios(scene);
  nestScenarios(scene);
  priorityScenarios(broker);
}
