import type { Command } from 'commander';
import type { ScheduleEntry, ScheduleStore, StoredEntry } from '@taskqueue/core';
import { scheduleFrom, UsageError } from '@taskqueue/core';
import type { TaskQueueRuntime } from '../../task-queue.runtime.js';
import { wrongUse } from '../command-failure.js';
import { EXIT } from '../exit-codes.js';
import { instant, table } from '../output.js';
import { queueCommand, withExamples } from '../queue-command.js';

/** `taskqueue schedules`: what beat sends, and switching it. */
export function addSchedules(program: Command): void {
  const schedules = program.command('schedules').description('periodic tasks: list, enable, disable');
  withExamples(schedules, ['schedules', 'schedules disable nightly-report', 'schedules --json']);
  addList(schedules);
  addSwitch(schedules, 'enable', true, 'send these again when they fall due');
  addSwitch(schedules, 'disable', false, 'send these no more until they are enabled');
}

function addList(parent: Command): void {
  queueCommand(
    parent,
    {
      synopsis: 'list',
      summary: 'all schedules that the store knows',
      examples: ['schedules', 'schedules list --json'],
      isDefault: true,
    },
    async ({ runtime, output }) => {
      const entries = [...(await storeOf(runtime).list())].sort((a, b) => a.name.localeCompare(b.name));
      output.show(entries.map(forScripts), () => {
        const rows = entries.map((entry) => ({
          name: entry.name,
          task: entry.task,
          schedule: scheduleFrom(entry.schedule).describe(),
          enabled: entry.enabled,
          next: entry.enabled ? instant(entry.dueAt) : undefined,
          last: instant(entry.lastRunAt),
          runs: entry.totalRunCount,
        }));
        return table(
          ['name', 'task', 'schedule', 'enabled', 'next', 'last', 'runs'],
          rows,
          'There are no schedules. Beat writes those of the code when it starts.',
        );
      });
    },
  );
}

function addSwitch(parent: Command, name: string, enabled: boolean, summary: string): void {
  queueCommand(
    parent,
    { synopsis: `${name} <names...>`, summary, examples: [`schedules ${name} nightly-report`] },
    async ({ runtime, output, args }) => {
      const names = args[0] as readonly string[];
      const store = storeOf(runtime);
      const entries = new Map((await store.list()).map((entry) => [entry.name, entry]));
      const found = names.map((one) => {
        const entry = entries.get(one);
        if (entry !== undefined) return entry;
        throw wrongUse(`There is no schedule "${one}".`, `There are: ${[...entries.keys()].sort().join(', ')}.`);
      });
      await store.upsert(found.map((entry) => ({ ...entryOf(entry), enabled })));
      output.show({ [`${name}d`]: names }, () => names.map((one) => `${one} is ${name}d`).join('\n'));
      return EXIT.done;
    },
  );
}

function storeOf({ stores }: TaskQueueRuntime): ScheduleStore {
  if (stores.schedules !== undefined) return stores.schedules;
  throw new UsageError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: 'No driver here keeps schedules.',
    remedy: 'Give TASKQUEUE_SCHEDULES_URL, e.g. sqlite:./data/schedules.sqlite.',
  });
}

/** Without what the store keeps beside it. */
function entryOf({
  dueAt,
  dueFingerprint,
  lastRunAt,
  lastTaskId,
  totalRunCount,
  ...entry
}: StoredEntry): ScheduleEntry {
  void [dueAt, dueFingerprint, lastRunAt, lastTaskId, totalRunCount];
  return entry;
}

function forScripts(entry: StoredEntry) {
  const { lastTaskId, totalRunCount } = entry;
  return {
    ...entryOf(entry),
    nextRunAt: entry.enabled ? instant(entry.dueAt) : undefined,
    lastRunAt: instant(entry.lastRunAt),
    lastTaskId,
    totalRunCount,
  };
}
