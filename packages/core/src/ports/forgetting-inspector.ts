import type { QueueInspector } from './queue-inspector.js';
import type { ResultBackend } from './result-backend.js';

const PAGE = 1_000;

/**
 * An inspector for an application whose results are kept by another driver than its messages: what is redriven could not
 * end anew beside the record of its first end, so that record is forgotten before.
 */
export function forgettingInspector(inspector: QueueInspector, results: ResultBackend): QueueInspector {
  return {
    ...(inspector.cannotTell === undefined ? {} : { cannotTell: inspector.cannotTell }),
    queues: () => inspector.queues(),
    peek: (query) => inspector.peek(query),
    purge: (queue) => inspector.purge(queue),
    pause: (queue) => inspector.pause(queue),
    resume: (queue) => inspector.resume(queue),
    deadLetters: (query) => inspector.deadLetters(query),
    redrive: async (taskIds) => {
      const dead = await deadAmong(inspector, taskIds);
      if (dead.length === 0) return [];
      await results.forget(dead);
      return inspector.redrive(dead);
    },
  };
}

async function deadAmong(inspector: QueueInspector, taskIds: readonly string[]): Promise<string[]> {
  const wanted = new Set(taskIds);
  const dead: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await inspector.deadLetters({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    for (const { id } of page.messages) if (wanted.delete(id)) dead.push(id);
    cursor = page.nextCursor;
  } while (cursor !== undefined && wanted.size > 0);
  return dead;
}
