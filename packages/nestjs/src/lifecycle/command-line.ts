import { parseArgs } from 'node:util';
import type { ConfigurationProblem, WorkerSettings } from '@taskqueue/core';
import { ConfigurationError, didYouMean } from '@taskqueue/core';

interface WorkerArgument {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** What stands for its value in the help. */
  readonly placeholder?: string;
  readonly help: string;
}

/** Arguments of a worker: `nest start worker -- -Q default,mail -c 8`, `taskqueue worker -Q default,mail -c 8`. */
export const WORKER_ARGUMENTS = {
  queues: { type: 'string', short: 'Q', placeholder: 'a,b', help: 'queues to take from, in order of preference' },
  concurrency: {
    type: 'string',
    short: 'c',
    placeholder: 'N',
    help: 'handlers side by side (default 10; children: one a processor)',
  },
  pool: { type: 'string', short: 'P', placeholder: 'NAME', help: 'async, solo, threads or prefork (default async)' },
  autoscale: {
    type: 'string',
    placeholder: 'MAX,MIN',
    help: 'grow to MAX while tasks wait, shrink to MIN when it is quiet',
  },
  'max-tasks-per-child': { type: 'string', placeholder: 'N', help: 'replace a thread or process after N tasks' },
  'max-memory-per-child': { type: 'string', placeholder: '200mb', help: 'replace one that has more after a task' },
  name: { type: 'string', short: 'n', placeholder: 'NAME', help: 'name of this worker (default worker@<host>#<pid>)' },
  lease: { type: 'string', placeholder: '30s', help: 'how long a task stays with a worker that says nothing' },
  'shutdown-grace': { type: 'string', placeholder: '25s', help: 'from SIGTERM to exit' },
  'track-started': { type: 'boolean', help: 'record STARTED for every task' },
  'task-events': { type: 'boolean', short: 'E', help: 'tell monitors what happens to each task' },
} as const satisfies Readonly<Record<string, WorkerArgument>>;

export type WorkerArgumentValues = { readonly [K in keyof typeof WORKER_ARGUMENTS]?: string | boolean | undefined };

const HELP_OPTION = { type: 'boolean', short: 'h' } as const;

export type WorkerCommand =
  | { readonly kind: 'run'; readonly overrides: Partial<WorkerSettings> }
  | { readonly kind: 'help'; readonly text: string };

/** Throws a ConfigurationError that names the wrong option. */
export function parseWorkerArguments(argv: readonly string[]): WorkerCommand {
  const values = parse(argv.map(withoutQuotes));
  if (values.help === true) return { kind: 'help', text: helpText() };
  return { kind: 'run', overrides: workerOverrides(values) };
}

/** The settings that the arguments stand for. What is wrong about them is named by the validation of the settings. */
export function workerOverrides(values: WorkerArgumentValues): Partial<WorkerSettings> {
  const queues = values.queues;
  const overrides: Record<string, unknown> = {
    name: values.name,
    queues: typeof queues === 'string' ? queues.split(',').map((queue) => queue.trim()) : undefined,
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
  return given(overrides) as Partial<WorkerSettings>;
}

/** An argument as help shows it: `-Q, --queues a,b`. */
export function argumentSynopsis(name: string, { short, placeholder }: Omit<WorkerArgument, 'help'>): string {
  return `${short === undefined ? '' : `-${short}, `}--${name}${placeholder === undefined ? '' : ` ${placeholder}`}`;
}

function helpText(): string {
  const lines = Object.entries(WORKER_ARGUMENTS).map(([name, argument]: [string, WorkerArgument]) => {
    const synopsis = argumentSynopsis(name, argument);
    return `  ${(argument.short === undefined ? `    ${synopsis}` : synopsis).padEnd(36)} ${argument.help}`;
  });
  return [
    "Options of a worker (they win over the environment and the module's options):",
    ...lines,
    `  ${'-h, --help'.padEnd(36)} this text`,
  ].join('\n');
}

function parse(argv: string[]) {
  try {
    const options = { ...WORKER_ARGUMENTS, help: HELP_OPTION };
    return parseArgs({ args: argv, options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const problem: ConfigurationProblem = {
      path: 'command line',
      expected: 'the options that --help lists',
      value: error instanceof Error ? error.message : String(error),
      ...nearestOption(argv),
    };
    throw new ConfigurationError([problem]);
  }
}

function nearestOption(argv: readonly string[]): { readonly remedy?: string } {
  const known = [...Object.keys(WORKER_ARGUMENTS), 'help'].map((name) => `--${name}`);
  const wrong = argv
    .map((one) => one.split('=', 1)[0] as string)
    .find((one) => one.startsWith('--') && !known.includes(one));
  const remedy = wrong === undefined ? undefined : didYouMean(wrong, known);
  return remedy === undefined ? {} : { remedy };
}

/** `nest start --no-shell` passes arguments with the quotes that a shell would have taken off. */
function withoutQuotes(argument: string): string {
  return /^".*"$/s.test(argument) ? argument.slice(1, -1) : argument;
}

function numberOr(text: string | boolean | undefined): unknown {
  return typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : text;
}

function given(overrides: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
}
