/** What the process of a command ends with. A worker or beat ends as `runWorker` and `runBeat` say. */
export const EXIT = {
  /** It was done. */
  done: 0,
  /** It was not: nobody answered, the broker cannot be reached, a worker refused, the task has failed. */
  failed: 1,
  /** The command cannot be run as it was given: unknown names, wrong values, a configuration that cannot be used. */
  usage: 2,
  /** The task has not ended (in the time that was given). */
  pending: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
