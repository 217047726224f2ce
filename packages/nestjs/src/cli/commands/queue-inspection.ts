import type { QueueInspector } from '@taskqueue/core';
import { UsageError } from '@taskqueue/core';
import type { TaskQueueRuntime } from '../../task-queue.runtime.js';
import { wrongUse } from '../command-failure.js';

export function inspectorOf({ stores }: TaskQueueRuntime): QueueInspector {
  if (stores.inspector !== undefined) return stores.inspector;
  throw new UsageError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: 'The driver of the broker cannot look into queues.',
  });
}

/** Throws COMMAND_INVALID for a queue that the broker does not know, with those that it does. */
export async function knownQueues(inspector: QueueInspector, wanted: readonly string[]): Promise<readonly string[]> {
  const names = (await inspector.queues()).map((queue) => queue.name);
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown === undefined) return names;
  throw wrongUse(`There is no queue "${unknown}".`, `There are: ${names.sort().join(', ')}.`);
}
