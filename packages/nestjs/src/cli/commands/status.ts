import type { Command } from 'commander';
import { table } from '../output.js';
import { queueCommand } from '../queue-command.js';
import { ask, judgeAnswers, withTarget } from './worker-answers.js';

/** `taskqueue status`: who is there. */
export function addStatus(program: Command): void {
  const command = queueCommand(
    program,
    {
      synopsis: 'status',
      summary: 'ask all workers whether they are there; exit code 1 when nobody answers',
      examples: ['status', 'status -d worker@host#1 --timeout 5s', 'status --json'],
    },
    async (work) => {
      const answers = await ask(work, { method: 'ping' });
      const rows = [...answers.keys()].sort().map((worker) => ({ worker, answer: 'pong' }));
      if (work.output.json || rows.length > 0) {
        work.output.show(answers, () => table(['worker', 'answer'], rows, ''));
      }
      return judgeAnswers(work, answers);
    },
  );
  withTarget(command);
}
