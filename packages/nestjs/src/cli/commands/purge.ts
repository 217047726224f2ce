import type { Command } from 'commander';
import { wrongUse } from '../command-failure.js';
import { EXIT } from '../exit-codes.js';
import { count, table } from '../output.js';
import { queueCommand } from '../queue-command.js';
import { confirmed } from './confirmation.js';
import { inspectorOf, knownQueues } from './queue-inspection.js';

/** `taskqueue purge`: deletes what waits. */
export function addPurge(program: Command): void {
  queueCommand(
    program,
    {
      synopsis: 'purge [queues...]',
      summary: 'delete what waits in queues; what runs and what is dead stays',
      examples: ['purge mail', 'purge mail reports --force', 'purge --all --force --json'],
    },
    async ({ runtime, output, options, args }) => {
      const inspector = inspectorOf(runtime);
      const named = args[0] as readonly string[];
      const all = options['all'] === true;
      if (all === named.length > 0) throw wrongUse('purge needs the names of queues, or --all.');
      const known = await knownQueues(inspector, named);
      const queues = all ? known : [...new Set(named)];
      const question = `Delete all that waits in ${queues.join(', ')}?`;
      if (!(await confirmed(question, options['force'] === true))) return EXIT.failed;
      const purged: { queue: string; purged: number }[] = [];
      for (const queue of queues) {
        if (queues.length > 1) output.note(`purging ${queue} (${purged.length + 1} of ${queues.length})`);
        purged.push({ queue, purged: await inspector.purge(queue) });
      }
      const total = purged.reduce((sum, one) => sum + one.purged, 0);
      output.show(purged, () => `${table(['queue', 'purged'], purged, '')}\n${count(total, 'message')} deleted`);
      return EXIT.done;
    },
  )
    .option('--all', 'every queue of the broker')
    .option('-f, --force', 'do not ask');
}
