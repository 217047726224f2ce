import { hostname } from 'node:os';

let made = 0;

/**
 * The name of a worker that was given none: `worker@<host>#<pid>`, and for further ones of the same process
 * `worker@<host>#<pid>.2` …, because commands and their answers know workers by name.
 */
export function defaultWorkerName(): string {
  made += 1;
  return `worker@${hostname()}#${process.pid}${made === 1 ? '' : `.${made}`}`;
}
