import type { FromChild, ToChild } from './pool-protocol.js';

/** A thread or process of a pool, as the worker holds it. */
export interface Child {
  /** For logs: `child 4711`, `thread 3`. */
  readonly name: string;
  /** Of a process of its own that has started. */
  readonly pid?: number | undefined;
  /** To one that has gone: nothing happens. */
  send(message: ToChild): void;
  /** Ends it whatever it does. `exited` is called when it has gone. */
  kill(): void;
}

export interface ChildListener {
  heard(message: FromChild): void;
  /** Called once, after the last message. `reason` for people: `exit code 1`, `signal SIGKILL`. */
  exited(reason: string): void;
}

export type SpawnChild = (listener: ChildListener) => Child;

/** How the program of the children is started: as the worker itself was. */
export interface ChildProgram {
  /** Absolute path of the module that node runs. */
  readonly entry: string;
  readonly argv: readonly string[];
  /** Flags of node itself. Default: those of this process, without a debugger's and a watcher's. */
  readonly execArgv?: readonly string[];
}

/** The flags that children get. */
export function childFlags({
  execArgv = process.execArgv.filter((flag) => !PARENTS_OWN.test(flag)),
}: ChildProgram): string[] {
  return [...execArgv];
}

/** Two processes cannot have one port of a debugger; and a watcher starts the worker anew, not its children. */
const PARENTS_OWN = /^--(inspect|watch|debug-port)/;

/**
 * Tells a program that it is a child, and of what: `prefork:<pid of the worker>` or `threads`. It is taken out of the
 * environment when it is read, so that programs that a task starts are none.
 */
export const CHILD_MARKER = 'TASKQUEUE_POOL_CHILD';
