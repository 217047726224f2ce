import { Worker as Thread } from 'node:worker_threads';
import type { Child, SpawnChild } from './child.js';
import { CHILD_MARKER, childFlags } from './child.js';
import type { FromChild } from './pool-protocol.js';
import type { SpawnOptions } from './process-child.js';

/** Starts children as threads of this process. */
export function threadSpawner({ program, env }: Omit<SpawnOptions, 'clock'>): SpawnChild {
  return (listener) => {
    const thread = new Thread(program.entry, {
      argv: [...program.argv],
      // A thread has its process's flags, unless it is given others.
      ...(program.execArgv === undefined ? {} : { execArgv: childFlags(program) }),
      env: { ...env, [CHILD_MARKER]: 'threads' },
    });
    let problem: string | undefined;
    thread.on('message', (message) => listener.heard(message as FromChild));
    thread.on('error', (error: unknown) => {
      problem = problemOf(error);
    });
    thread.on('exit', (code) => listener.exited(problem ?? `exit code ${code}`));
    return {
      name: `thread ${thread.threadId}`,
      send: (message) => thread.postMessage(message),
      kill: () => void thread.terminate(),
    } satisfies Child;
  };
}

/** Of what nobody caught in the thread, which need not be an error. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error as { code?: string }).code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? 'out of memory'
    : (error.stack ?? String(error));
}
