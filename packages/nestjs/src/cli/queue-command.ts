import { Command } from 'commander';
import type { TaskQueueRuntime } from '../task-queue.runtime.js';
import { explainFailure } from './command-failure.js';
import { EXIT } from './exit-codes.js';
import type { ExitCode } from './exit-codes.js';
import { Output } from './output.js';
import { Session } from './session.js';

export interface QueueCommand {
  /** As the parser takes it: `purge [queues...]`. */
  readonly synopsis: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** Whole command lines without `taskqueue`, shown by `--help`. */
  readonly examples: readonly string[];
  /** Run when no other subcommand is named. */
  readonly isDefault?: boolean;
  /** Default true. */
  readonly connects?: boolean;
}

/** What a command works with. */
export interface QueueWork {
  readonly session: Session;
  readonly runtime: TaskQueueRuntime;
  readonly output: Output;
  readonly options: Readonly<Record<string, unknown>>;
  readonly args: readonly unknown[];
}

/** Adds a command that works on a queue: opens it, connects, works, closes it, and ends the process. */
export function queueCommand(
  parent: Command,
  { synopsis, aliases = [], summary, examples, isDefault = false, connects = true }: QueueCommand,
  work: (given: QueueWork) => Promise<ExitCode | void>,
): Command {
  const command = withExamples(parent.command(synopsis, { isDefault }).description(summary).aliases(aliases), examples);
  if (isDefault) refuseOtherWords(parent, command);
  return command
    .option('--app <file#export>', 'the application, e.g. dist/app.module.js#AppModule')
    .option('-b, --broker <url>', 'the queue by its URL, without an application')
    .option('--results <url>', 'with --broker: where results are kept')
    .option('--json', 'JSON for scripts')
    .option('--debug', 'show where errors come from')
    .action(async () => {
      const options = command.opts();
      await endWith(options['debug'] === true, async () => {
        const session = await Session.open(options);
        try {
          if (connects) await session.runtime.connect();
          const { runtime } = session;
          const output = new Output(options['json'] === true);
          return await work({ session, runtime, output, options, args: command.processedArgs });
        } finally {
          await session.close();
        }
      });
    });
}

/** The parser gives the default command every word that it does not know, which was meant to be another command. */
function refuseOtherWords(parent: Command, byDefault: Command): void {
  parent.hook('preSubcommand', (_parent, command) => {
    const [word] = parent.args;
    if (command !== byDefault || word === undefined || word.startsWith('-') || word === byDefault.name()) return;
    // Without a default it knows which one is nearest, and throws.
    const others = new Command(parent.name()).copyInheritedSettings(parent);
    for (const one of parent.commands) others.command(one.name());
    others.parse([word], { from: 'user' });
  });
}

export function withExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${examples.map((one) => `  taskqueue ${one}`).join('\n')}`);
}

/** Ends the process when all is written; an application may have timers of its own, which nobody waits for. */
async function endWith(debug: boolean, work: () => Promise<ExitCode | void>): Promise<void> {
  let code: ExitCode;
  try {
    code = (await work()) ?? EXIT.done;
  } catch (error) {
    code = explainFailure(error, debug);
  }
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))));
  process.exit(code);
}
