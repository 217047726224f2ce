import type { Logger } from '../ambient/logger.js';
import type { TaskFields } from '../task/task-fields.js';
import { taskFields } from '../task/task-fields.js';
import type { TaskFacts, WorkerEvent, WorkerListener } from './worker-events.js';

/** Turns worker events into log lines. */
export function taskLog(unbound: Logger): WorkerListener {
  return (event) => {
    const logger = unbound.withFields === undefined ? unbound : unbound.withFields(fieldsOf(event));
    switch (event.type) {
      case 'task-started':
        return logger.log(`${label(event.task)} started`, 'Task');
      case 'task-succeeded':
        return logger.log(`${label(event.task)} succeeded in ${ms(event.runtimeMs)}`, 'Task');
      case 'task-failed':
        return event.expected
          ? logger.debug(`${label(event.task)} failed as expected: ${event.failure.message}`, 'Task')
          : logger.error(
              `${label(event.task)} failed: ${event.failure.type}: ${event.failure.message}`,
              event.failure.stack,
              'Task',
            );
      case 'task-retried':
        return logger.warn(
          `${label(event.task)} will be retried in ${ms(event.delayMs)}${event.failure === undefined ? '' : `: ${event.failure.type}: ${event.failure.message}`}`,
          'Task',
        );
      case 'task-snoozed':
        return logger.log(`${label(event.task)} snoozed for ${ms(event.delayMs)}`, 'Task');
      case 'task-rejected':
        return logger.warn(`${label(event.task)} rejected: ${event.reason}`, 'Task');
      case 'task-revoked':
        return logger.warn(`${label(event.task)} ${event.reason}`, 'Task');
      case 'task-stuck':
        return logger.error(
          `${label(event.task)} ignores its time limit of ${ms(event.limitMs)}; its slot is written off until it ends`,
          undefined,
          'Task',
        );
      case 'task-interrupted':
        return logger.warn(`${label(event.task)} interrupted and handed back`, 'Task');
      case 'task-lost':
        return logger.warn(`${label(event.task)} lost its lease; nothing of this run is recorded`, 'Task');
      case 'task-crashed':
        return logger.error(`${label(event.task)} lost the child that ran it: ${event.reason}`, undefined, 'Task');
      default:
        return undefined;
    }
  };
}

function label(task: TaskFacts): string {
  return task.attempt > 1 ? `${task.name}[${task.id}] (attempt ${task.attempt})` : `${task.name}[${task.id}]`;
}

function ms(duration: number): string {
  return duration < 10_000 ? `${Math.round(duration)} ms` : `${(duration / 1_000).toFixed(1)} s`;
}

/** The state is the event's name. */
function fieldsOf(event: WorkerEvent): TaskFields {
  if (!('task' in event)) return {};
  const { task, type } = event;
  const fields = taskFields({ ...task, headers: task.message?.customHeaders });
  const runtime: TaskFields = 'runtimeMs' in event ? { runtimeMs: Math.round(event.runtimeMs) } : {};
  return { ...fields, ...runtime, state: type.slice('task-'.length) };
}
