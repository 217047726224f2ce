import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { silentLogger } from '../../src/ambient/logger.js';
import { systemClock } from '../../src/ambient/clock.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import type { PoolName } from '../../src/config/settings.js';
import type { OpenPool } from '../../src/conformance/index.js';
import { registerPoolTasks } from '../../src/conformance/index.js';
import type { ChildProgram } from '../../src/pools/child.js';
import { makePool } from '../../src/pools/make-pool.js';
import { TaskRegistry } from '../../src/task/task-registry.js';

/** Children run the built package: node itself loads them. */
if (!existsSync(fileURLToPath(new URL('../../dist/index.js', import.meta.url)))) {
  throw new Error('These tests run the built package. Build it first: npx tsc -b');
}

/** The program of children; none of the test runner's flags is for them. */
export function childProgram(...argv: string[]): ChildProgram {
  return { entry: fileURLToPath(new URL('fixtures/program.mjs', import.meta.url)), argv, execArgv: [] };
}

export function opensPools(pool: PoolName): OpenPool {
  return ({ size, maxTasks }) => {
    const registry = new TaskRegistry();
    registerPoolTasks(registry);
    const settings = validateSettings({ worker: { pool, concurrency: size, maxTasksPerChild: maxTasks } });
    return makePool({
      settings,
      registry,
      logger: silentLogger,
      clock: systemClock,
      children: childProgram(),
      onBroken: (error) => {
        throw error;
      },
    });
  };
}
