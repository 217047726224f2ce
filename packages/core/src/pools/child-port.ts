import { parentPort, Worker as Thread } from 'node:worker_threads';
import { compiledModule } from '../ambient/compiled-module.js';
import { stopSignals } from '../ambient/stop-signals.js';
import { CHILD_MARKER } from './child.js';
import type { FromChild, ToChild } from './pool-protocol.js';

/** The way from a child to its worker, as the child holds it. */
export interface ChildPort {
  send(message: FromChild): void;
  /** Called for each message from now on. */
  onMessage(listener: (message: ToChild) => void): void;
  /** Called when the worker has gone. A thread goes with its worker, and never hears of it. */
  onOrphaned(listener: () => void): void;
}

/**
 * The port of a program that a worker started as its child; undefined for any other program. Takes the mark out of the
 * environment: to ask twice is to be none. A child process ignores the signals that end a worker, because a terminal and
 * a service manager send them to all processes of a group, and it is the worker that says when its children end. It is
 * watched by a thread from now on, which ends it two seconds after its worker has gone, whatever it does.
 */
export function takeChildPort(): ChildPort | undefined {
  const mark = process.env[CHILD_MARKER];
  delete process.env[CHILD_MARKER];
  if (mark === 'threads') return parentPort === null ? undefined : threadPort(parentPort);
  const [, worker] = /^prefork:(\d+)$/.exec(mark ?? '') ?? [];
  return worker === undefined || process.send === undefined ? undefined : processPort(Number(worker));
}

function threadPort(port: NonNullable<typeof parentPort>): ChildPort {
  return {
    send: (message) => port.postMessage(message),
    onMessage: (listener) => port.on('message', listener),
    onOrphaned: () => undefined,
  };
}

function processPort(worker: number): ChildPort {
  for (const signal of stopSignals()) process.on(signal, () => undefined);
  watchWorker(worker);
  return {
    send: (message) => {
      // Nobody listens any more where it fails, which `disconnect` tells.
      if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
    },
    onMessage: (listener) => process.on('message', (message) => listener(message as ToChild)),
    onOrphaned: (listener) => process.once('disconnect', listener),
  };
}

/** A handler that spins for ever never hears that its worker has gone. */
function watchWorker(worker: number): void {
  const watch = new Thread(compiledModule(import.meta.url, './orphan-watch.js'), {
    workerData: { worker },
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  // Without it the child still goes when its channel closes and its event loop turns.
  watch.on('error', () => undefined);
  watch.unref();
}
