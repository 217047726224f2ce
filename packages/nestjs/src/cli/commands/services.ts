import type { Command } from 'commander';
import { ConfigurationError } from '@taskqueue/core';
import { argumentSynopsis, WORKER_ARGUMENTS } from '../../lifecycle/command-line.js';
import { runBeat } from '../../lifecycle/run-beat.js';
import { runWorker } from '../../lifecycle/run-worker.js';
import { findModule, loadModule } from '../application-module.js';
import { runUnread } from '../closed-output.js';
import { withExamples } from '../queue-command.js';

const APP = ['--app <file#export>', 'the application, e.g. dist/app.module.js#AppModule'] as const;

/** `taskqueue worker`: `runWorker` with the application's module. */
export function addWorker(program: Command): void {
  const command = program
    .command('worker')
    .description('run a worker of the application, until SIGTERM')
    .option(...APP);
  for (const [name, argument] of Object.entries(WORKER_ARGUMENTS)) {
    const { placeholder, help } = argument as { readonly placeholder?: string; readonly help: string };
    command.option(
      argumentSynopsis(name, {
        ...argument,
        ...(placeholder === undefined ? {} : { placeholder: `<${placeholder}>` }),
      }),
      help,
    );
  }
  withExamples(command, ['worker --app dist/app.module.js', 'worker -Q mail,default --pool prefork -c 4']);
  command.action(async () => {
    const options = command.opts();
    const module = await applicationOf(options['app'] as string | undefined, 'A worker');
    runUnread();
    await runWorker(module, { argv: workerArguments(options) });
  });
}

/** `taskqueue beat`: `runBeat` with the application's module. */
export function addBeat(program: Command): void {
  const command = program
    .command('beat')
    .description('run a beat of the application, until SIGTERM')
    .option(...APP);
  withExamples(command, ['beat --app dist/app.module.js']);
  command.action(async () => {
    const module = await applicationOf(command.opts()['app'] as string | undefined, 'Beat');
    runUnread();
    await runBeat(module);
  });
}

async function applicationOf(option: string | undefined, who: string) {
  const found = findModule(option);
  if (found !== undefined) return loadModule(found);
  throw new ConfigurationError([
    {
      path: '--app',
      expected: "the file of the application's module, e.g. dist/app.module.js",
      value: option,
      remedy: `${who} needs the application: the environment tells where the queue is, but not what its tasks are.`,
    },
  ]);
}

/** What the parser has read, `{ maxTasksPerChild: '5' }`, as arguments again. */
function workerArguments(options: Readonly<Record<string, unknown>>): string[] {
  const camel = (name: string): string => name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.keys(WORKER_ARGUMENTS).flatMap((name) => {
    const value = options[camel(name)] as string | true | undefined;
    if (value === undefined) return [];
    return [value === true ? `--${name}` : `--${name}=${value}`];
  });
}
