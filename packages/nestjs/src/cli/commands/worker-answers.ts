import type { Command } from 'commander';
import type { Duration } from '@taskqueue/core';
import { EXIT } from '../exit-codes.js';
import type { ExitCode } from '../exit-codes.js';
import { jsonText } from '../output.js';
import type { QueueWork } from '../queue-command.js';

export interface Question {
  readonly method: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** Adds the options that say whom a command is for. */
export function withTarget(command: Command): Command {
  return command
    .option('-d, --destination <names>', 'only these workers, separated by commas')
    .option('-t, --timeout <duration>', 'how long answers are waited for', '1s');
}

/** Asks the workers that the options name, or others. */
export function ask(
  { runtime, options }: QueueWork,
  question: Question,
  destination = destinationOf(options),
): Promise<ReadonlyMap<string, unknown>> {
  return runtime.createControlBus().call(question.method, question.parameters ?? {}, {
    timeout: options['timeout'] as Duration,
    ...(destination === undefined ? {} : { destination }),
  });
}

export function destinationOf(options: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  const names = options['destination'];
  return typeof names === 'string' ? names.split(',').map((name) => name.trim()) : undefined;
}

/** Says who kept silent, or refused, and gives the code that follows from it. */
export function judgeAnswers({ options, output }: QueueWork, answers: ReadonlyMap<string, unknown>): ExitCode {
  const named = destinationOf(options);
  const silent = named?.filter((name) => !answers.has(name)) ?? [];
  const refusals = [...answers].flatMap(([worker, answer]) => {
    const refusal = refusalOf(answer);
    return refusal === undefined ? [] : [`${worker}: ${refusal}`];
  });
  for (const refusal of refusals) output.note(refusal);
  if (answers.size === 0 && named === undefined)
    output.note(`No worker answered within ${String(options['timeout'])}.`);
  if (silent.length > 0) output.note(`No answer within ${String(options['timeout'])} from: ${silent.join(', ')}.`);
  return answers.size === 0 || silent.length > 0 || refusals.length > 0 ? EXIT.failed : EXIT.done;
}

/** What a worker says instead of obeying. */
export function refusalOf(answer: unknown): string | undefined {
  const error = (answer as { readonly error?: unknown } | null)?.error;
  if (error === undefined) return undefined;
  return typeof error === 'string' ? error : jsonText(error);
}
