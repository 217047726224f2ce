import type { Command } from 'commander';
import { queueCommand } from '../queue-command.js';
import { showTask, waitFor } from './task-record.js';

/** `taskqueue result <id>`: how a task stands. */
export function addResult(program: Command): void {
  queueCommand(
    program,
    {
      synopsis: 'result <id>',
      summary: 'state and result of a task; exit code 0 SUCCESS, 1 any other end, 3 it has not ended',
      examples: ['result 6f7a1c9e-…', 'result 6f7a1c9e-… --wait 30s --json', 'result 6f7a1c9e-… --traceback'],
    },
    async (work) => {
      const id = work.args[0] as string;
      const { wait } = work.options;
      if (wait !== undefined) await waitFor(work.runtime, id, wait);
      return showTask(work, id);
    },
  )
    .option('--wait [duration]', 'until it ends, or so long')
    .option('--traceback', 'the stack of its failure, too');
}
