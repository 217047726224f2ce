import { Command } from 'commander';
import { VERSION } from '@taskqueue/core';
import { endWhenUnread } from './closed-output.js';
import { explainFailure } from './command-failure.js';
import { addBeat, addWorker } from './commands/services.js';
import { addCall } from './commands/call.js';
import { addControl } from './commands/control.js';
import { addDead } from './commands/dead.js';
import { addEvents } from './commands/events.js';
import { addInspect } from './commands/inspect.js';
import { addMigrate } from './commands/migrate.js';
import { addPurge } from './commands/purge.js';
import { addQueues } from './commands/queues.js';
import { addReport } from './commands/report.js';
import { addResult } from './commands/result.js';
import { addSchedules } from './commands/schedules.js';
import { addStatus } from './commands/status.js';
import { withExamples } from './queue-command.js';

const EPILOGUE = `
The application is named by --app, or by "taskqueue": { "app": "dist/app.module.js" } in package.json. Without one,
--broker or the environment (TASKQUEUE_URL, …) tell where the queue is; then there are no workers, no beat, and no check
of a call's arguments.

Exit codes: 0 done; 1 failed, or nobody answered; 2 wrong use or configuration; 3 the task has not ended yet.`;

/** Runs the command line `taskqueue …` as this process. */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  endWhenUnread();
  const program = taskqueueProgram();
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    process.exitCode = explainFailure(error, argv.includes('--debug'));
  }
}

function taskqueueProgram(): Command {
  const program = new Command('taskqueue')
    .description('Workers, beat, and a look at a task queue.')
    .version(VERSION, '-V, --version')
    // Subcommands inherit it: errors come here instead of ending the process.
    .exitOverride()
    .showHelpAfterError('(--help shows what there is)');
  withExamples(program, ['status', 'worker -Q mail,default -c 4', 'inspect active', 'queues --json']);
  program.addHelpText('after', EPILOGUE);
  for (const add of [addWorker, addBeat, addStatus, addInspect, addControl, addEvents]) add(program);
  for (const add of [addCall, addResult, addQueues, addPurge, addDead, addSchedules, addMigrate, addReport])
    add(program);
  return program;
}
