import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { Deferred } from '../async/deferred.js';
import { deferred } from '../async/deferred.js';
import { validateSettings } from '../config/validate-settings.js';
import { TaskError } from '../errors/errors.js';
import { decodeValue, encodeValue } from '../message/encoded-value.js';
import { serializerFrom, serializersFrom } from '../message/wire-format.js';
import type { TaskMessage } from '../message/task-message.js';
import type { Execution, ExecutionControl, ExecutionPool } from '../ports/execution-pool.js';
import type { EncodedValue } from '../ports/result-backend.js';
import type { Outcome } from '../task/task-outcome.js';
import { eventually } from '../testing/eventually.js';

export interface PoolOptions {
  readonly size: number;
  readonly maxTasks?: number;
}

/** Opens a pool whose runs find the tasks of `registerPoolTasks`. It is not started. */
export type OpenPool = (options: PoolOptions) => ExecutionPool;

const SETTINGS = validateSettings({});
const SERIALIZER = serializerFrom(SETTINGS);
const SERIALIZERS = serializersFrom(SETTINGS);
/** For a child to boot, on a machine that has other things to do. */
export const BOOT_MS = 30_000;

/** One pool that cases share, and others that a case has for itself. */
export class PoolScene {
  private shared: ExecutionPool | undefined;
  private readonly pools: ExecutionPool[] = [];

  constructor(
    private readonly factory: OpenPool,
    readonly size: number,
  ) {}

  async open(): Promise<void> {
    this.shared = await this.own({ size: this.size });
  }

  async close(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.close()));
  }

  get pool(): ExecutionPool {
    assert(this.shared);
    return this.shared;
  }

  /** Started, with all its slots free. */
  async own(options: PoolOptions): Promise<ExecutionPool> {
    const pool = this.factory(options);
    this.pools.push(pool);
    await pool.start();
    await eventually(() => assert.equal(pool.idle, options.size), BOOT_MS);
    return pool;
  }

  run(task: string, args: readonly unknown[] = [], overrides: Partial<Execution> = {}): Promise<Outcome> {
    return this.pool.run(execution(task, args, overrides), new Control());
  }
}

/** What a worker would offer to a run. */
export class Control implements ExecutionControl {
  readonly controller = new AbortController();
  readonly progressed: unknown[] = [];
  readonly first: Deferred<void> = deferred();

  constructor(private readonly refuse?: Error) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  async progress(value: EncodedValue): Promise<void> {
    await Promise.resolve();
    if (this.refuse !== undefined) throw this.refuse;
    this.progressed.push(decodeValue(SERIALIZERS, value));
    this.first.resolve();
  }
}

/** A run of one of `registerPoolTasks`. */
export function execution(task: string, args: readonly unknown[] = [], overrides: Partial<Execution> = {}): Execution {
  const id = randomUUID();
  const message: TaskMessage = {
    lang: 'js',
    id,
    task: `pool.${task}`,
    shadow: undefined,
    eta: undefined,
    expires: undefined,
    group: undefined,
    groupIndex: undefined,
    retries: 2,
    timeLimitMs: undefined,
    softTimeLimitMs: undefined,
    rootId: id,
    parentId: undefined,
    argsRepr: undefined,
    kwargsRepr: undefined,
    origin: 'conformance',
    ignoreResult: false,
    replacedTaskNesting: 0,
    stampedHeaders: undefined,
    stamps: {},
    customHeaders: Object.assign(Object.create(null) as Record<string, unknown>, { tenant: 'a' }),
    replyTo: '',
    correlationId: id,
    priority: undefined,
    deliveryMode: 2,
    expiration: undefined,
    args,
    kwargs: {},
    callbacks: undefined,
    errbacks: undefined,
    chain: undefined,
    chord: undefined,
  };
  return {
    message,
    queue: 'q',
    run: 5,
    attempt: 3,
    worker: 'w@h',
    deadline: undefined,
    wantsValue: true,
    ...overrides,
  };
}

/** The value as a store would get it. Throws for one that cannot be sent. */
export function stored(outcome: Outcome): unknown {
  if (outcome.kind === 'undecided') throw Object.assign(new Error(), outcome.judgement.failure);
  assert.equal(outcome.kind, 'succeeded', `ended ${inspect(outcome)}`);
  assert(outcome.kind === 'succeeded');
  return decodeValue(SERIALIZERS, outcome.encoded ?? encodeValue(SERIALIZER, outcome.value, 'result'));
}

/** Asked anew: the compiler takes a property for what it was. */
export function idleOf(pool: ExecutionPool): number {
  return pool.idle;
}

/** Why a run is told to stop. */
export function softLimit(): TaskError {
  return new TaskError({ code: 'SOFT_TIME_LIMIT_EXCEEDED', message: 'Too long.' }, 'an-id', undefined);
}
