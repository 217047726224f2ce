import type { Command } from 'commander';
import { wrongUse } from '../command-failure.js';
import { EXIT } from '../exit-codes.js';
import type { ExitCode } from '../exit-codes.js';
import { count, table } from '../output.js';
import type { QueueWork } from '../queue-command.js';
import { queueCommand, withExamples } from '../queue-command.js';
import { stampsFrom } from './stamps.js';
import { ask, judgeAnswers, refusalOf, withTarget } from './worker-answers.js';

interface Control {
  readonly summary: string;
  readonly synopsis?: string;
  readonly example?: string;
  readonly parameters?: (args: readonly (string | undefined)[]) => Readonly<Record<string, unknown>>;
}

/** Celery's commands that change a running worker, with Celery's arguments. */
const CONTROLS: Readonly<Record<string, Control>> = {
  add_consumer: {
    summary: 'take from a queue, too',
    synopsis: '<queue>',
    example: 'mail',
    parameters: ([queue]) => ({ queue }),
  },
  cancel_consumer: {
    summary: 'take from a queue no more',
    synopsis: '<queue>',
    example: 'mail',
    parameters: ([queue]) => ({ queue }),
  },
  rate_limit: {
    summary: 'how often a task may start: 10/s, 100/m, 1000/h; 0 takes the limit off',
    synopsis: '<task> <rate>',
    example: 'MailTasks.send 100/m',
    parameters: ([task_name, rate_limit]) => ({ task_name, rate_limit: rate_limit === '0' ? 0 : rate_limit }),
  },
  time_limit: {
    summary: 'how long a task may run, in seconds',
    synopsis: '<task> <soft> [hard]',
    example: 'MailTasks.send 20 30',
    parameters: ([task_name, soft, hard]) => ({ task_name, soft: numeric('soft', soft), hard: numeric('hard', hard) }),
  },
  autoscale: {
    summary: 'between which sizes the pool is scaled',
    synopsis: '<max> [min]',
    example: '8 2',
    parameters: ([max, min]) => ({ max: numeric('max', max), min: numeric('min', min) }),
  },
  pool_grow: {
    summary: 'more handlers side by side',
    synopsis: '[n]',
    example: '2',
    parameters: ([n]) => ({ n: numeric('n', n) ?? 1 }),
  },
  pool_shrink: {
    summary: 'fewer handlers side by side',
    synopsis: '[n]',
    example: '2',
    parameters: ([n]) => ({ n: numeric('n', n) ?? 1 }),
  },
  pool_restart: { summary: 'replace all threads or processes' },
  enable_events: { summary: 'tell monitors what happens to each task' },
  disable_events: { summary: 'tell them no more' },
};

/** `taskqueue control <command>`. */
export function addControl(program: Command): void {
  const control = program.command('control').description('change what workers do');
  withExamples(control, [
    'control rate_limit MailTasks.send 100/m',
    'control revoke 6f7a1c9e-… --terminate',
    'control shutdown -d worker@host#1',
  ]);
  for (const [method, one] of Object.entries(CONTROLS)) addChange(control, method, one);
  addShutdown(control);
  addRevoke(control);
  addRevokeStamped(control);
}

function addChange(parent: Command, method: string, { summary, synopsis, example, parameters }: Control): void {
  const line = ['control', method, ...(example === undefined ? [] : [example])].join(' ');
  const command = queueCommand(
    parent,
    {
      synopsis: synopsis === undefined ? method : `${method} ${synopsis}`,
      aliases: [method.replaceAll('_', '-')].filter((alias) => alias !== method),
      summary,
      examples: [line, `${line} -d worker@host#1`],
    },
    async (work) => {
      const answers = await ask(work, {
        method,
        parameters: parameters?.(work.args as readonly (string | undefined)[]) ?? {},
      });
      const rows = [...answers]
        .filter(([, answer]) => refusalOf(answer) === undefined)
        .map(([worker, answer]) => ({ worker, answer: (answer as { readonly ok?: unknown } | null)?.ok ?? answer }));
      if (work.output.json || rows.length > 0) {
        work.output.show(answers, () => table(['worker', 'answer'], rows, ''));
      }
      return judgeAnswers(work, answers);
    },
  );
  withTarget(command);
}

/** Who obeys does not answer, who refuses does. So it is said to those who are there, and silence is consent. */
function addShutdown(parent: Command): void {
  const command = queueCommand(
    parent,
    {
      synopsis: 'shutdown',
      summary: 'end workers, as SIGTERM does',
      examples: ['control shutdown', 'control shutdown -d worker@host#1'],
    },
    async (work): Promise<ExitCode> => {
      const present = await ask(work, { method: 'ping' });
      const workers = [...present.keys()].sort();
      if (workers.length === 0) return judgeAnswers(work, present);
      const answers = await ask(work, { method: 'shutdown' }, workers);
      const told = workers.filter((worker) => refusalOf(answers.get(worker)) === undefined);
      if (work.output.json || told.length > 0) {
        work.output.show({ told }, () => told.map((worker) => `${worker} was told to end`).join('\n'));
      }
      return judgeAnswers(work, new Map([...present, ...answers]));
    },
  );
  withTarget(command);
}

function addRevoke(parent: Command): void {
  queueCommand(
    parent,
    {
      synopsis: 'revoke <ids...>',
      summary: 'tasks that shall not start any more',
      examples: ['control revoke 6f7a1c9e-…', 'control revoke 6f7a1c9e-… --terminate'],
    },
    async ({ runtime, options, args, output }) => {
      const ids = args[0] as readonly string[];
      await Promise.all(
        ids.map((id) => runtime.client.handle(id).revoke({ terminate: options['terminate'] === true })),
      );
      output.show({ revoked: ids }, () => `${count(ids.length, 'task')} revoked`);
      return EXIT.done;
    },
  ).option('--terminate', 'stop those that run');
}

function addRevokeStamped(parent: Command): void {
  queueCommand(
    parent,
    {
      synopsis: 'revoke_by_stamped_headers <stamps...>',
      aliases: ['revoke-by-stamped-headers'],
      summary: 'tasks with one of these stamps shall not start any more',
      examples: ['control revoke_by_stamped_headers customer=7'],
    },
    async ({ runtime, options, args, output }: QueueWork) => {
      const stamps = stampsFrom(args[0] as readonly string[]);
      await runtime.client.revokeStamped(stamps, { terminate: options['terminate'] === true });
      output.show({ revoked: stamps }, () => 'revoked');
      return EXIT.done;
    },
  ).option('--terminate', 'stop those that run');
}

function numeric(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && text.trim() !== '') return value;
  throw wrongUse(`${name} must be a number, got "${text}".`);
}
