import type { Command } from 'commander';
import type { Row } from '../output.js';
import { jsonText, span, table } from '../output.js';
import { queueCommand, withExamples } from '../queue-command.js';
import { ask, judgeAnswers, refusalOf, withTarget } from './worker-answers.js';

type Answers = readonly (readonly [worker: string, answer: unknown])[];
type Fields = Readonly<Record<string, unknown>>;

interface Inspection {
  readonly summary: string;
  /** Arguments after the command's name. */
  readonly synopsis?: string;
  readonly parameters?: (args: readonly unknown[]) => Fields;
  readonly forPeople: (answers: Answers) => string;
}

const TASK_COLUMNS = ['worker', 'id', 'task', 'args', 'kwargs', 'running'];

/** Celery's commands that only ask. */
const INSPECTIONS: Readonly<Record<string, Inspection>> = {
  ping: {
    summary: 'who is there',
    forPeople: (answers) =>
      table(
        ['worker', 'answer'],
        each(answers, () => [{ answer: 'pong' }]),
        '',
      ),
  },
  active: { summary: 'tasks that run', forPeople: (answers) => tasks(answers, 'No task runs.') },
  reserved: {
    summary: 'tasks that workers have and have not started',
    forPeople: (answers) => tasks(answers, 'No task is reserved.'),
  },
  scheduled: {
    summary: "tasks that workers hold until their time (Python's)",
    forPeople: (answers) => tasks(answers, 'No worker holds tasks: they wait in the broker.'),
  },
  revoked: {
    summary: 'ids that do not start any more',
    forPeople: (answers) =>
      table(
        ['worker', 'id'],
        each(answers, (answer) => list(answer).map((id) => ({ id }))),
        'Nothing is revoked.',
      ),
  },
  registered: {
    summary: 'tasks that workers know',
    forPeople: (answers) =>
      table(
        ['worker', 'task'],
        each(answers, (answer) => list(answer).map((task) => ({ task }))),
        'No task is registered.',
      ),
  },
  active_queues: {
    summary: 'queues that workers take from',
    forPeople: (answers) =>
      table(
        ['worker', 'queue', 'routing_key'],
        each(answers, (answer) =>
          list(answer).map((one) => ({ queue: (one as Fields)['name'], routing_key: (one as Fields)['routing_key'] })),
        ),
        'No worker takes from any queue.',
      ),
  },
  query_task: {
    summary: 'what workers know of tasks',
    synopsis: '<ids...>',
    parameters: ([ids]) => ({ ids }),
    forPeople: (answers) =>
      table(
        ['worker', 'id', 'state', 'task'],
        each(answers, (answer) =>
          Object.entries(answer as Readonly<Record<string, readonly [string, Fields]>>).map(([id, [state, task]]) => ({
            id,
            state,
            task: task['name'],
          })),
        ),
        'No worker has these tasks.',
      ),
  },
  stats: {
    summary: 'what workers have done, and with what',
    forPeople: (answers) =>
      table(
        ['worker', 'pid', 'pool', 'concurrency', 'uptime', 'tasks', 'broker'],
        each(answers, (answer) => [statistics(answer as Fields)]),
        '',
      ),
  },
  conf: { summary: 'settings of workers', forPeople: texts((answer) => jsonText(answer, 2)) },
  report: {
    summary: 'host, stores, queues and tasks of workers',
    forPeople: texts((answer) => String((answer as Fields)['ok'])),
  },
  clock: {
    summary: 'logical clocks of workers',
    forPeople: (answers) =>
      table(
        ['worker', 'clock'],
        each(answers, (answer) => [{ clock: (answer as Fields)['clock'] }]),
        '',
      ),
  },
};

/** `taskqueue inspect <command>`. */
export function addInspect(program: Command): void {
  const inspect = program.command('inspect').description('ask workers what they do and know');
  withExamples(inspect, ['inspect active', 'inspect stats -d worker@host#1', 'inspect registered --json']);
  for (const [method, inspection] of Object.entries(INSPECTIONS)) addInspection(inspect, method, inspection);
}

function addInspection(
  parent: Command,
  method: string,
  { summary, synopsis, parameters, forPeople }: Inspection,
): void {
  const example = synopsis === undefined ? `inspect ${method}` : `inspect ${method} 6f7a1c9e-…`;
  const command = queueCommand(
    parent,
    {
      synopsis: synopsis === undefined ? method : `${method} ${synopsis}`,
      aliases: method.includes('_') ? [method.replaceAll('_', '-')] : [],
      summary,
      examples: [example, `${example} --json`],
    },
    async (work) => {
      const answers = await ask(work, { method, parameters: parameters?.(work.args) ?? {} });
      const obeyed = [...answers].filter(([, answer]) => refusalOf(answer) === undefined).sort(byWorker);
      if (work.output.json || obeyed.length > 0) work.output.show(answers, () => forPeople(obeyed));
      return judgeAnswers(work, answers);
    },
  );
  withTarget(command);
}

function tasks(answers: Answers, none: string): string {
  const now = Date.now();
  return table(
    TASK_COLUMNS,
    each(answers, (answer) =>
      list(answer).map((one) => {
        const outer = one as Fields;
        // Python's `scheduled` has the task inside.
        const task = (outer['request'] as Fields | undefined) ?? outer;
        const start = task['time_start'];
        const running = typeof start === 'number' ? span(Math.max(0, now - start * 1_000)) : undefined;
        return { id: task['id'], task: task['name'], args: task['args'], kwargs: task['kwargs'], running };
      }),
    ),
    none,
  );
}

function statistics({ pid, pool, uptime, total, broker }: Fields): Row {
  const { implementation, 'max-concurrency': concurrency } = (pool ?? {}) as Fields;
  const started = Object.values((total ?? {}) as Readonly<Record<string, number>>).reduce((sum, one) => sum + one, 0);
  const { transport } = (broker ?? {}) as Fields;
  return {
    pid,
    pool: String(implementation).split(':').at(-1),
    concurrency,
    uptime: typeof uptime === 'number' ? span(uptime * 1_000) : undefined,
    tasks: started,
    broker: transport,
  };
}

function each(answers: Answers, rows: (answer: unknown) => readonly Row[]): readonly Row[] {
  return answers.flatMap(([worker, answer]) => rows(answer).map((row) => ({ worker, ...row })));
}

function texts(text: (answer: unknown) => string): (answers: Answers) => string {
  return (answers) => answers.map(([worker, answer]) => `${worker}:\n${text(answer)}`).join('\n\n');
}

/** Python's workers answer null for nothing. */
function list(answer: unknown): readonly unknown[] {
  return Array.isArray(answer) ? answer : [];
}

function byWorker([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a.localeCompare(b);
}
