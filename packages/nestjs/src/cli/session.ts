import { existsSync } from 'node:fs';
import type { LoggerService } from '@nestjs/common';
import { ConfigurationError, isTaskQueueError } from '@taskqueue/core';
import { bootIdle } from '../lifecycle/child-boot.js';
import { EMBEDDED_URL } from '../driver-loader.js';
import { TaskQueueRuntime } from '../task-queue.runtime.js';
import type { ModuleReference } from './application-module.js';
import { findModule, loadModule } from './application-module.js';
import { wrongUse } from './command-failure.js';

/** Which queue a command is about. */
export interface SessionOptions {
  readonly app?: string | undefined;
  readonly broker?: string | undefined;
  readonly results?: string | undefined;
  readonly debug?: boolean | undefined;
}

/** Variables, one of which tells where the queue is. */
const URLS = ['TASKQUEUE_URL', 'TASKQUEUE_BROKER_URL'] as const;

/**
 * A task queue for as long as a command takes: of the application, whose module is booted without its worker, beat and
 * listeners, or of the environment alone.
 *
 * ```text
 *   --broker? ──yes──► that URL, and the environment
 *      └─no─► --app, or taskqueue.app of package.json? ──yes──► the application's
 *                └─no─► TASKQUEUE_URL, TASKQUEUE_BROKER_URL, or the embedded file? ──yes──► the environment's
 *                          └─no─► CONFIGURATION_INVALID
 * ```
 */
export class Session {
  private constructor(
    readonly runtime: TaskQueueRuntime,
    /** Undefined: it is known from the environment alone. */
    readonly app: ModuleReference | undefined,
    readonly close: () => Promise<void>,
  ) {}

  /** Connects nothing yet. */
  static async open(options: SessionOptions): Promise<Session> {
    const logger = stderrLogger(options.debug === true);
    if (options.broker !== undefined && options.app !== undefined) {
      throw wrongUse('--app and --broker cannot be given together.', 'An application has its own broker.');
    }
    const app = options.broker === undefined ? findModule(options.app) : undefined;
    return app === undefined ? Session.ofEnvironment(options, logger) : Session.ofApplication(app, logger);
  }

  private static async ofApplication(app: ModuleReference, logger: LoggerService): Promise<Session> {
    const context = await bootIdle(await loadModule(app), { logger });
    return new Session(
      runtimeOf(() => context.get(TaskQueueRuntime, { strict: false }), app),
      app,
      () => context.close(),
    );
  }

  private static async ofEnvironment(options: SessionOptions, logger: ReturnType<typeof stderrLogger>) {
    const { broker, results } = options;
    if (broker === undefined && !isQueueKnown()) throw unknownQueue();
    const runtime = await TaskQueueRuntime.create({
      logger,
      ...(broker === undefined ? {} : { driver: broker, broker }),
      ...(results === undefined ? {} : { results }),
    });
    return new Session(runtime, undefined, () => runtime.close());
  }
}

function runtimeOf(get: () => TaskQueueRuntime, app: ModuleReference): TaskQueueRuntime {
  try {
    return get();
  } catch (cause) {
    if (isTaskQueueError(cause)) throw cause;
    throw new ConfigurationError([
      {
        path: app.text,
        expected: 'a module that imports TaskQueueModule',
        value: app.exported ?? app.file,
        remedy: 'It must come from the same installation of @taskqueue/nestjs as this command.',
      },
    ]);
  }
}

/** Nobody who mistypes a folder shall get a new, empty queue there. */
function isQueueKnown(): boolean {
  return URLS.some((name) => (process.env[name] ?? '') !== '') || existsSync(EMBEDDED_URL.slice('sqlite:'.length));
}

function unknownQueue(): ConfigurationError {
  return new ConfigurationError([
    {
      path: 'the queue',
      expected: '--app, "taskqueue": { "app": … } in package.json, --broker or TASKQUEUE_URL',
      value: undefined,
      remedy: 'For example: --app dist/app.module.js',
    },
  ]);
}

/** Stdout belongs to what the command says. */
function stderrLogger(isDebugging: boolean) {
  const say = (level: string) => (message: unknown) => void process.stderr.write(`${level}: ${String(message)}\n`);
  const silent = (): void => undefined;
  return {
    fatal: say('fatal'),
    error: say('error'),
    warn: say('warning'),
    log: isDebugging ? say('log') : silent,
    debug: isDebugging ? say('debug') : silent,
    verbose: silent,
  };
}
