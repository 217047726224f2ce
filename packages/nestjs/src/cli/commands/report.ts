import { platform, release } from 'node:os';
import type { Command } from 'commander';
import { DEFAULT_SETTINGS, VERSION } from '@taskqueue/core';
import type { TaskQueueRuntime } from '../../task-queue.runtime.js';
import { EXIT } from '../exit-codes.js';
import { facts } from '../output.js';
import { queueCommand } from '../queue-command.js';

/** `taskqueue report`: what a question about this installation needs to say. Without secrets. */
export function addReport(program: Command): void {
  queueCommand(
    program,
    {
      synopsis: 'report',
      summary: 'versions, stores, settings and tasks, for a bug report',
      examples: ['report', 'report --json'],
      connects: false,
    },
    async ({ session, runtime, output }) => {
      const answer = await reached(runtime);
      const shown = {
        taskqueue: VERSION,
        node: process.version,
        system: `${platform()} ${release()} ${process.arch}`,
        application: session.app?.text ?? 'none (environment)',
        stores: runtime.stores.drivers.map((driver) => `${driver.name} ${driver.describe()}`),
        reachable: answer,
        tasks: runtime.registry.names(),
        schedules: runtime.declared.map((entry) => entry.name),
        settings: changedSettings(runtime),
      };
      output.show(shown, () =>
        facts({
          ...shown,
          stores: shown.stores.join('\n'),
          tasks: shown.tasks.join('\n') || 'none',
          schedules: shown.schedules.join('\n') || 'none',
          settings:
            Object.entries(shown.settings)
              .map(([path, value]) => `${path} = ${JSON.stringify(value)}`)
              .join('\n') || 'defaults',
        }),
      );
      return answer === 'yes' ? EXIT.done : EXIT.failed;
    },
  );
}

async function reached(runtime: TaskQueueRuntime): Promise<string> {
  try {
    await runtime.ping();
    return 'yes';
  } catch (error) {
    return `no: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** What is not as it is by default; secrets are not shown. */
function changedSettings({ settings }: TaskQueueRuntime): Readonly<Record<string, unknown>> {
  const changed: Record<string, unknown> = {};
  for (const [group, defaults] of Object.entries(DEFAULT_SETTINGS)) {
    const value: unknown = (settings as unknown as Readonly<Record<string, unknown>>)[group];
    const isGroup = typeof defaults === 'object' && defaults !== null && !Array.isArray(defaults);
    const pairs = isGroup
      ? Object.entries(value as object).map(
          ([key, one]) => [`${group}.${key}`, one, (defaults as Readonly<Record<string, unknown>>)[key]] as const,
        )
      : [[group, value, defaults] as const];
    for (const [path, one, usual] of pairs) {
      if (JSON.stringify(one) === JSON.stringify(usual)) continue;
      changed[path] = /secret/i.test(path) ? '********' : one;
    }
  }
  return changed;
}
