import type { Command } from 'commander';
import type { ApplyOptions, Duration } from '@taskqueue/core';
import { isTaskQueueError, UsageError } from '@taskqueue/core';
import { wrongUse } from '../command-failure.js';
import { EXIT } from '../exit-codes.js';
import { queueCommand } from '../queue-command.js';
import type { QueueWork } from '../queue-command.js';
import { stampsFrom } from './stamps.js';
import { showTask, waitFor } from './task-record.js';

/** `taskqueue call <task>`: sends a task. */
export function addCall(program: Command): void {
  queueCommand(
    program,
    {
      synopsis: 'call <task>',
      summary: 'send a task; prints its id, or with --wait its result',
      examples: [
        `call MailTasks.sendWelcome --args '[42]' --wait 30s`,
        `call reports.build --kwargs '{"month":"2026-01"}' --queue reports --countdown 10m`,
        `call proj.tasks.add --args '[2,3]' --foreign`,
      ],
    },
    async (work) => {
      const { runtime, output, options } = work;
      const task = work.args[0] as string;
      checkTask(work, task);
      const args = json('args', options['args'], Array.isArray, 'a JSON list, e.g. [1,"two"]');
      const kwargs = json('kwargs', options['kwargs'], isObject, 'a JSON object, e.g. {"key":1}');
      const { id } = await runtime.client.sendTask(task, args, kwargs, applyOptions(options));
      if (options['wait'] === undefined) {
        output.show({ id }, () => id);
        return EXIT.done;
      }
      await waitFor(runtime, id, options['wait']);
      return showTask(work, id);
    },
  )
    .option('--args <json>', 'arguments, a JSON list', '[]')
    .option('--kwargs <json>', 'keyword arguments, a JSON object', '{}')
    .option('--countdown <duration>', 'not before so long from now: 30s, 10m')
    .option('--eta <instant>', 'not before this instant, ISO 8601')
    .option('--expires <duration>', 'not at all after so long')
    .option('--queue <name>', "instead of the task's own")
    .option('--priority <n>', '0 to 9, higher is more urgent')
    .option('--task-id <id>', 'an id of your own')
    .option('--stamp <name=value...>', 'marks, by which many tasks are revoked together')
    .option('--wait [duration]', 'until it ends, or so long; exit code 1 when it fails, 3 when it does not end')
    .option('--traceback', 'with --wait: the stack of its failure, too')
    .option('--foreign', "the application's workers do not know it: send it unchecked");
}

/** Throws TASK_UNKNOWN for what no worker of the application could run. */
function checkTask({ session, runtime, options }: QueueWork, task: string): void {
  if (session.app === undefined || options['foreign'] === true) return;
  try {
    runtime.registry.get(task);
  } catch (error) {
    if (!isTaskQueueError(error, 'TASK_UNKNOWN')) throw error;
    const { code, message, fields } = error;
    const remedy = 'With --foreign it is sent all the same, for workers of other applications.';
    throw new UsageError({ code, message, remedy, fields });
  }
}

function applyOptions(options: QueueWork['options']): ApplyOptions {
  const { countdown, eta, expires, queue, priority, taskId } = options as Readonly<Record<string, string | undefined>>;
  return {
    ...(countdown === undefined ? {} : { countdown: countdown as Duration }),
    ...(eta === undefined ? {} : { eta: new Date(eta) }),
    ...(expires === undefined ? {} : { expires: expires as Duration }),
    ...(queue === undefined ? {} : { queue }),
    ...(priority === undefined ? {} : { priority: Number(priority) }),
    ...(taskId === undefined ? {} : { taskId }),
    ...(options['stamp'] === undefined ? {} : { stamps: stampsFrom(options['stamp'] as readonly string[]) }),
  };
}

function json<T>(name: string, text: unknown, fits: (value: unknown) => value is T, expected: string): T {
  let value: unknown;
  try {
    value = JSON.parse(String(text));
  } catch {
    throw wrongUse(`--${name} must be ${expected}, got ${String(text)}.`, 'Quote it for the shell.');
  }
  if (fits(value)) return value;
  throw wrongUse(`--${name} must be ${expected}, got ${String(text)}.`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
