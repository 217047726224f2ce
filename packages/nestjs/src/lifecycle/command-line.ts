import { parseArgs } from 'node:util';
import type { ConfigurationProblem, WorkerSettings } from '@taskqueue/core';
import { ConfigurationError } from '@taskqueue/core';

/** Arguments of a worker: `nest start worker -- -Q default,mail -c 8`. */
export const WORKER_ARGUMENTS = {
  queues: { type: 'string', short: 'Q' },
  concurrency: { type: 'string', short: 'c' },
  pool: { type: 'string', short: 'P' },
  autoscale: { type: 'string' },
  'max-tasks-per-child': { type: 'string' },
  'max-memory-per-child': { type: 'string' },
  name: { type: 'string', short: 'n' },
  lease: { type: 'string' },
  'shutdown-grace': { type: 'string' },
  'track-started': { type: 'boolean' },
  'task-events': { type: 'boolean', short: 'E' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `Options of a worker (they win over the environment and the module's options):
  -Q, --queues a,b           queues to take from, in order of preference
  -c, --concurrency N        handlers side by side (default 10; children: one a processor)
  -P, --pool NAME            async, solo, threads or prefork (default async)
      --autoscale MAX,MIN    grow to MAX while tasks wait, shrink to MIN when it is quiet
      --max-tasks-per-child N        replace a thread or process after N tasks
      --max-memory-per-child 200mb   replace one that has more after a task
  -n, --name NAME            name of this worker (default worker@<host>#<pid>)
      --lease 30s            how long a task stays with a worker that says nothing
      --shutdown-grace 25s   from SIGTERM to exit
      --track-started        record STARTED for every task
  -E, --task-events          tell monitors what happens to each task
  -h, --help                 this text`;

export type WorkerCommand =
  | { readonly kind: 'run'; readonly overrides: Partial<WorkerSettings> }
  | { readonly kind: 'help'; readonly text: string };

/** Throws a ConfigurationError that names the wrong option. */
export function parseWorkerArguments(argv: readonly string[]): WorkerCommand {
  const values = parse(argv.map(withoutQuotes));
  if (values.help === true) return { kind: 'help', text: HELP };
  const overrides: Record<string, unknown> = {
    name: values.name,
    queues: values.queues?.split(',').map((queue) => queue.trim()),
    pool: values.pool,
    // Text that is no number is handed on, so that the validation of the settings names it.
    concurrency: numberOr(values.concurrency),
    autoscale: values.autoscale,
    maxTasksPerChild: numberOr(values['max-tasks-per-child']),
    maxMemoryPerChild: numberOr(values['max-memory-per-child']),
    lease: values.lease,
    shutdownGrace: values['shutdown-grace'],
    trackStarted: values['track-started'],
    events: values['task-events'],
  };
  return { kind: 'run', overrides: given(overrides) as Partial<WorkerSettings> };
}

function parse(argv: string[]) {
  try {
    return parseArgs({ args: argv, options: WORKER_ARGUMENTS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const problem: ConfigurationProblem = {
      path: 'command line',
      expected: 'the options that --help lists',
      value: error instanceof Error ? error.message : String(error),
    };
    throw new ConfigurationError([problem]);
  }
}

/** `nest start --no-shell` passes arguments with the quotes that a shell would have taken off. */
function withoutQuotes(argument: string): string {
  return /^".*"$/s.test(argument) ? argument.slice(1, -1) : argument;
}

function numberOr(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : text;
}

function given(overrides: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
}
