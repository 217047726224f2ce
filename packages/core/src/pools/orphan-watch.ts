import { setTimeout as sleep } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';

const LOOK_MS = 500;
/** For the child to go by itself. */
const PATIENCE_MS = 1_500;

/** Runs in a thread of a child process, and ends the process when its worker has gone: a handler may spin for ever. */
const { worker } = workerData as { readonly worker: number };
while (isThere()) await sleep(LOOK_MS);
await sleep(PATIENCE_MS);
process.kill(process.pid, 'SIGKILL');

/** On POSIX an orphan gets another parent; on Windows it keeps the number of the old one. */
function isThere(): boolean {
  if (process.ppid !== worker) return false;
  try {
    process.kill(worker, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
