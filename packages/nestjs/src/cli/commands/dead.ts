import type { Command } from 'commander';
import type { DeadLetter, QueueInspector } from '@taskqueue/core';
import { bodyBytes } from '@taskqueue/core';
import { wrongUse } from '../command-failure.js';
import { EXIT } from '../exit-codes.js';
import { count, facts, instant, table } from '../output.js';
import { ProgressBar } from '../progress-bar.js';
import type { QueueWork } from '../queue-command.js';
import { queueCommand, withExamples } from '../queue-command.js';
import { confirmed } from './confirmation.js';
import { inspectorOf } from './queue-inspection.js';

/** As many as an inspector gives at once. */
const PAGE = 1_000;
/** Put back in one step, so that it shows that it goes on. */
const AT_ONCE = 200;

/** `taskqueue dead`: messages that nobody will run, and the way back. */
export function addDead(program: Command): void {
  const dead = program.command('dead').description('messages that were put aside: list, show, redrive');
  withExamples(dead, [
    'dead',
    'dead show 6f7a1c9e-…',
    'dead redrive 6f7a1c9e-…',
    'dead redrive --all --queue mail --force',
  ]);
  addList(dead);
  addShow(dead);
  addRedrive(dead);
}

function addList(parent: Command): void {
  queueCommand(
    parent,
    {
      synopsis: 'list',
      summary: 'dead messages, newest first',
      examples: ['dead', 'dead list --queue mail --limit 10'],
      isDefault: true,
    },
    async ({ runtime, output, options }) => {
      const limit = wholeNumber('limit', options['limit']);
      const found = await take(deadLetters(inspectorOf(runtime), queueOf(options)), limit);
      output.show(found.map(plain), () => {
        const rows = found.map(({ id, task, queue, reason, diedAt }) => ({
          id,
          task,
          queue,
          reason,
          died: instant(diedAt),
        }));
        return table(['id', 'task', 'queue', 'reason', 'died'], rows, 'Nothing is dead.');
      });
    },
  )
    .option('--queue <name>', 'of this queue only')
    .option('--limit <n>', 'at most so many', '50');
}

function addShow(parent: Command): void {
  queueCommand(
    parent,
    { synopsis: 'show <id>', summary: 'all of one dead message', examples: ['dead show 6f7a1c9e-…'] },
    async ({ runtime, output, args }) => {
      const id = args[0] as string;
      for await (const letter of deadLetters(inspectorOf(runtime), undefined)) {
        if (letter.id !== id) continue;
        const shown = {
          ...plain(letter),
          headers: letter.message.headers,
          body: bodyBytes(letter.message.body).toString('utf8'),
        };
        output.show(shown, () => facts(shown));
        return EXIT.done;
      }
      output.note(`No dead message has the id ${id}.`);
      return EXIT.failed;
    },
  );
}

function addRedrive(parent: Command): void {
  queueCommand(
    parent,
    {
      synopsis: 'redrive [ids...]',
      summary: 'put dead messages back into their queues',
      examples: ['dead redrive 6f7a1c9e-…', 'dead redrive --all --queue mail --force'],
    },
    async (work) => {
      const ids = work.args[0] as readonly string[];
      const all = work.options['all'] === true;
      if (all === ids.length > 0) throw wrongUse('dead redrive needs ids, or --all.');
      if (!all) return redriveNamed(work, ids);
      const queue = queueOf(work.options);
      const question = `Put all dead messages ${queue === undefined ? '' : `of ${queue} `}back?`;
      if (!(await confirmed(question, work.options['force'] === true))) return EXIT.failed;
      const redriven = await redriveAll(work, queue);
      work.output.show({ redriven }, () => `${count(redriven, 'message')} put back`);
      return EXIT.done;
    },
  )
    .option('--all', 'all that are dead')
    .option('--queue <name>', 'with --all: of this queue only')
    .option('-f, --force', 'do not ask');
}

async function redriveNamed({ runtime, output }: QueueWork, ids: readonly string[]) {
  const redriven = await inspectorOf(runtime).redrive(ids);
  const missing = ids.filter((id) => !redriven.includes(id));
  output.show({ redriven, missing }, () => `${count(redriven.length, 'message')} put back`);
  if (missing.length > 0) output.note(`Not dead: ${missing.join(', ')}.`);
  return missing.length === 0 ? EXIT.done : EXIT.failed;
}

/** Only what is dead when it is begun: what dies again meanwhile would be put back for ever. */
async function redriveAll({ runtime }: QueueWork, queue: string | undefined): Promise<number> {
  const inspector = inspectorOf(runtime);
  const ids: string[] = [];
  for await (const letter of deadLetters(inspector, queue)) ids.push(letter.id);
  const bar = new ProgressBar(ids.length, 'put back');
  let redriven = 0;
  try {
    for (let start = 0; start < ids.length; start += AT_ONCE) {
      redriven += (await inspector.redrive(ids.slice(start, start + AT_ONCE))).length;
      if (ids.length > AT_ONCE) bar.show(redriven);
    }
  } finally {
    bar.end();
  }
  return redriven;
}

async function* deadLetters(inspector: QueueInspector, queue: string | undefined): AsyncGenerator<DeadLetter> {
  let cursor: string | undefined;
  do {
    const page = await inspector.deadLetters({
      limit: PAGE,
      ...(queue === undefined ? {} : { queue }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield* page.messages;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

async function take<T>(items: AsyncIterable<T>, limit: number): Promise<readonly T[]> {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length >= limit) break;
  }
  return taken;
}

function plain({ id, task, queue, priority, reason, enqueuedAt, eta, diedAt }: DeadLetter) {
  return {
    id,
    task,
    queue,
    priority,
    reason,
    enqueuedAt: instant(enqueuedAt),
    eta: instant(eta),
    diedAt: instant(diedAt),
  };
}

function queueOf(options: QueueWork['options']): string | undefined {
  return options['queue'] as string | undefined;
}

function wholeNumber(name: string, text: unknown): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw wrongUse(`--${name} must be a whole number from 1, got "${String(text)}".`);
}
