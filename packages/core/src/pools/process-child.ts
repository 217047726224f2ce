import { fork } from 'node:child_process';
import type { Clock } from '../ambient/clock.js';
import type { Child, ChildListener, ChildProgram, SpawnChild } from './child.js';
import { CHILD_MARKER, childFlags } from './child.js';
import type { FromChild } from './pool-protocol.js';

export interface SpawnOptions {
  readonly program: ChildProgram;
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

/** After its exit a process's last words are waited for so long: they may be under way still. */
const LAST_WORDS_MS = 200;

/** Starts children as processes of their own, with this process's output. */
export function processSpawner({ program, env, clock }: SpawnOptions): SpawnChild {
  return (listener) => {
    const child = fork(program.entry, program.argv, {
      env: { ...env, [CHILD_MARKER]: `prefork:${process.pid}` },
      execArgv: childFlags(program),
      // Bytes and dates travel as such.
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const exited = once(listener);
    child.on('message', (message) => listener.heard(message as FromChild));
    child.on('error', (error) => {
      // Of a process that did not start there is no exit.
      if (child.pid === undefined) exited(error.message);
    });
    child.once('exit', (code, signal) => {
      const reason = signal === null ? `exit code ${code}` : `signal ${signal}`;
      if (!child.connected) return exited(reason);
      const patience = clock.timer(LAST_WORDS_MS, () => exited(reason));
      child.once('disconnect', () => {
        patience.cancel();
        // The last messages are handed out in this turn.
        setImmediate(() => exited(reason));
      });
    });
    return {
      name: `child ${child.pid ?? '(not started)'}`,
      pid: child.pid,
      send: (message) => {
        // It fails where the child has gone, which its exit tells.
        if (child.connected) child.send(message, () => undefined);
      },
      kill: () => void child.kill('SIGKILL'),
    } satisfies Child;
  };
}

function once(listener: ChildListener): (reason: string) => void {
  let told = false;
  return (reason) => {
    if (told) return;
    told = true;
    listener.exited(reason);
  };
}
