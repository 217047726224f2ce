import type { Command } from 'commander';
import { EXIT } from '../exit-codes.js';
import { span, table } from '../output.js';
import { queueCommand, withExamples } from '../queue-command.js';
import { inspectorOf, knownQueues } from './queue-inspection.js';

const COLUMNS = ['queue', 'ready', 'delayed', 'running', 'dead', 'oldest', 'paused'];

/** `taskqueue queues`: depths; and pausing. */
export function addQueues(program: Command): void {
  const queues = program.command('queues').description('what waits where; pause and resume');
  withExamples(queues, ['queues', 'queues --json', 'queues pause mail']);
  addList(queues);
  addSwitch(queues, 'pause', 'hand out nothing of these queues until they are resumed');
  addSwitch(queues, 'resume', 'hand out what is in these queues again');
}

function addList(parent: Command): void {
  queueCommand(
    parent,
    {
      synopsis: 'list',
      summary: 'what waits in each queue',
      examples: ['queues', 'queues list --json'],
      isDefault: true,
    },
    async ({ runtime, output }) => {
      const all = [...(await inspectorOf(runtime).queues())].sort((a, b) => a.name.localeCompare(b.name));
      output.show(all, () => {
        const rows = all.map(({ name, leased, oldestReadyMs, paused, ...rest }) => ({
          ...rest,
          queue: name,
          running: leased,
          oldest: span(oldestReadyMs),
          paused: paused ? 'paused' : undefined,
        }));
        return table(COLUMNS, rows, 'There are no queues.');
      });
    },
  );
}

function addSwitch(parent: Command, method: 'pause' | 'resume', summary: string): void {
  queueCommand(
    parent,
    {
      synopsis: `${method} <queues...>`,
      summary,
      examples: [`queues ${method} mail`, `queues ${method} mail reports`],
    },
    async ({ runtime, output, args }) => {
      const names = args[0] as readonly string[];
      const inspector = inspectorOf(runtime);
      await knownQueues(inspector, names);
      for (const name of names) await inspector[method](name);
      output.show({ [`${method}d`]: names }, () => names.map((name) => `${name} is ${method}d`).join('\n'));
      return EXIT.done;
    },
  );
}
