import { hostname } from 'node:os';
import type { Clock } from '../ambient/clock.js';
import { newTaskId } from '../ambient/ids.js';
import type { Signature } from '../canvas/signature.js';
import { revokeStamped } from './revoke-stamped.js';
import type { Stamps } from '../control/stamp-revocation.js';
import { CommandSigner } from '../control/command-signature.js';
import { toMilliseconds } from '../config/duration.js';
import { isTaskQueueError, UsageError } from '../errors/errors.js';
import { isWireInstant } from '../message/iso-instant.js';
import { serializersFrom } from '../message/wire-format.js';
import type { OutgoingMessage } from '../ports/broker.js';
import { keptResults } from '../ports/result-backend.js';
import { bindArguments } from '../task/bind-arguments.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { isTerminal } from '../task/task-state.js';
import type { MessageBuilder } from './message-builder.js';
import { messageBuilder } from './message-builder.js';
import { checkApplyOptions, checkArguments, NO_OPTIONS } from './apply-options.js';
import { applyOptionsOf } from './signature-apply-options.js';
import type { ApplyOptions, TaskCall } from './task-call.js';
import type { TaskHandleContext } from './task-handle.js';
import { TaskHandle } from './task-handle.js';
import type { TaskPublisherOptions } from './task-publisher.js';
import { TaskPublisher } from './task-publisher.js';

/** What a sender sends with. */
export interface TaskSenderOptions extends TaskPublisherOptions {
  readonly registry: TaskRegistry;
  /** Runs one attempt of a message in this process, through the whole pipeline, and gives its value. */
  readonly runHere?: (message: OutgoingMessage) => Promise<unknown>;
  /** Aborts when the application closes: whoever waits for a result then is told so. */
  readonly closed?: AbortSignal;
}

/** One call of `sendMany`. */
export interface SendRequest {
  readonly task: string;
  readonly args?: readonly unknown[];
  readonly options?: ApplyOptions;
}

/** Sends tasks by name. The typed class client stands on it. */
export class TaskSender {
  private readonly builder: MessageBuilder;
  private readonly publisher: TaskPublisher;
  private readonly handles: TaskHandleContext;

  constructor(protected readonly options: TaskSenderOptions) {
    const { settings, clock, stores, events, closed } = options;
    const resultExpiresMs = toMilliseconds(settings.resultExpires, 'resultExpires');
    const { controlSecret: secret } = settings.worker;
    const signer = secret === undefined ? undefined : new CommandSigner(secret, clock);
    this.handles = { stores, clock, resultExpiresMs, serializers: serializersFrom(settings), signer, closed };
    const origin = `gen${process.pid}@${hostname()}`;
    this.publisher = new TaskPublisher(options);
    this.builder = messageBuilder({ settings, clock, origin, broker: stores.broker, events });
  }

  /**
   * Sends a task by its name, which need not be registered here. Resolves when the broker has accepted it durably.
   * Throws UsageError for what can be seen to be wrong before, PUBLISH_FAILED or BROKER_UNAVAILABLE otherwise.
   */
  async sendTask<R = unknown>(
    name: string,
    args: readonly unknown[] = [],
    kwargs: Readonly<Record<string, unknown>> = {},
    options: ApplyOptions = {},
  ): Promise<TaskHandle<R>> {
    const definition = this.options.registry.find(name)?.definition;
    return this.send<R>(name, definition, args, { ...options, kwargs: { ...options.kwargs, ...kwargs } });
  }

  /**
   * Checks a call as sending it would — queue, priority, arguments, schema, headers — and sends nothing. Throws the
   * UsageError that sending would.
   */
  async check(name: string, args: readonly unknown[], options: ApplyOptions = {}): Promise<void> {
    await this.message(name, this.options.registry.find(name)?.definition, args, options);
  }

  /** Sends many tasks at once, in one round trip where the broker can. All are checked before the first is sent. */
  async sendMany(
    requests: readonly SendRequest[],
    options: Pick<ApplyOptions, 'manager' | 'retry'> = {},
  ): Promise<TaskHandle[]> {
    const messages = await allOf(requests, (request) => {
      const definition = this.options.registry.find(request.task)?.definition;
      return this.message(request.task, definition, request.args ?? [], request.options ?? NO_OPTIONS);
    });
    const named = requests.flatMap((request) => request.options?.taskId ?? []);
    if (options.manager === undefined) await this.forgetEnded(named);
    await this.publisher.publish(messages, options);
    return messages.map((message) => this.handle(message.id));
  }

  /**
   * Revokes all tasks with one of these stamps, also those that are sent within a week: none starts any more. With `terminate`
   * those that run are stopped. Rejects with CAPABILITY_UNSUPPORTED where no driver keeps revocations.
   */
  revokeStamped(stamps: Stamps, { terminate = false }: { readonly terminate?: boolean } = {}): Promise<void> {
    return revokeStamped(this.handles, stamps, terminate);
  }

  /** Sends a signature with the options that it has; those that are given here win. */
  async sendSignature<R>(signature: Signature<R>, options: ApplyOptions = {}): Promise<TaskHandle<R>> {
    const { link, link_error } = signature.options;
    const own = applyOptionsOf(signature, options);
    const definition = this.options.registry.find(signature.task)?.definition;
    const merged = { ...own, ...options, kwargs: { ...signature.kwargs, ...options.kwargs } };
    const call = await this.call(signature.task, definition, signature.args, merged);
    const linked = linkedCall(call, { link, link_error });
    const message = this.builder.build(linked, definition);
    await this.publisher.publish([message], merged);
    return this.handle<R>(message.id);
  }

  /** A handle for a task that was sent elsewhere or before. */
  handle<R = unknown>(taskId: string): TaskHandle<R> {
    return new TaskHandle<R>(taskId, this.handles);
  }

  /** Sends a task whose definition is known. */
  protected async send<R>(
    name: string,
    definition: TaskDefinition | undefined,
    args: readonly unknown[],
    options: ApplyOptions,
  ): Promise<TaskHandle<R>> {
    const built = this.message(name, definition, args, options);
    const message = built instanceof Promise ? await built : built;
    if (options.taskId !== undefined && options.manager === undefined) await this.forgetEnded([options.taskId]);
    await this.publisher.publish([message], options);
    return this.handle<R>(message.id);
  }

  /** Sends several calls of one task in one round trip. */
  protected async sendAll<R>(
    name: string,
    definition: TaskDefinition | undefined,
    calls: readonly (readonly unknown[])[],
    options: ApplyOptions,
  ): Promise<TaskHandle<R>[]> {
    if (options.taskId !== undefined && calls.length > 1) {
      throw new UsageError({
        code: 'TASK_OPTIONS_INVALID',
        message: 'taskId cannot be given for several calls at once.',
        remedy: 'Send them one by one, or leave it out.',
        fields: { field: 'taskId', value: options.taskId },
      });
    }
    const messages = await allOf(calls, (args) => this.message(name, definition, args, options));
    await this.publisher.publish(messages, options);
    return messages.map((message) => this.handle<R>(message.id));
  }

  /** Runs one attempt here and now, with serialisation, checks and pipeline as in a worker. */
  protected async callHere<R>(name: string, definition: TaskDefinition, args: readonly unknown[]): Promise<R> {
    if (this.options.runHere === undefined) {
      throw new UsageError({
        code: 'TASK_UNKNOWN',
        message: `Task "${name}" cannot be called here: this client runs nothing.`,
        remedy: 'Call it where its provider is registered, or send it with delay().',
      });
    }
    return (await this.options.runHere(await this.message(name, definition, args, {}))) as R;
  }

  /** A promise only where a schema is asynchronous: every task would pay for it. */
  private message(
    name: string,
    definition: TaskDefinition | undefined,
    args: readonly unknown[],
    options: ApplyOptions,
  ): OutgoingMessage | Promise<OutgoingMessage> {
    const call = this.call(name, definition, args, options);
    return call instanceof Promise
      ? call.then((checked) => this.builder.build(checked, definition))
      : this.builder.build(call, definition);
  }

  private call(
    name: string,
    definition: TaskDefinition | undefined,
    args: readonly unknown[],
    options: ApplyOptions,
  ): TaskCall | Promise<TaskCall> {
    if (options !== NO_OPTIONS) checkApplyOptions(options);
    checkArguments(name, args);
    const kwargs = options.kwargs ?? {};
    // Only a check: what travels is what the caller gave, and the worker validates and transforms it again.
    const bound = definition === undefined ? undefined : bindArguments(definition, { args, kwargs });
    return bound instanceof Promise
      ? bound.then(() => callFrom(name, args, kwargs, options, this.options.clock))
      : callFrom(name, args, kwargs, options, this.options.clock);
  }

  /** An id that is used again is another task: the record of the one that has ended would stand in the way of its own. */
  private async forgetEnded(ids: readonly string[]): Promise<void> {
    const results = keptResults(this.options.stores.results);
    if (results === undefined || ids.length === 0) return;
    try {
      const records = await results.get(ids);
      const ended = ids.filter((_, index) => isTerminal(records[index]?.state ?? 'PENDING'));
      if (ended.length > 0) await results.forget(ended);
    } catch (error) {
      // That the task is sent matters more than how its result will look.
      if (!isTaskQueueError(error) || !error.retryable) throw error;
    }
  }
}

/** Without a promise where none is needed. */
function allOf<T>(
  items: readonly T[],
  make: (item: T) => OutgoingMessage | Promise<OutgoingMessage>,
): readonly OutgoingMessage[] | Promise<readonly OutgoingMessage[]> {
  const made = items.map((item) => attempted(() => make(item)));
  return made.some((one) => one instanceof Promise)
    ? Promise.all(made.map((one) => Promise.resolve(one)))
    : (made as OutgoingMessage[]);
}

/** Of several that fail, each in its own way, all are heard. */
function attempted<T>(make: () => T | Promise<T>): T | Promise<T> {
  try {
    return make();
  } catch (error) {
    return Promise.reject(error as Error);
  }
}

function callFrom(
  task: string,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
  options: ApplyOptions,
  clock: Clock,
): TaskCall {
  if (options.countdown !== undefined && options.eta !== undefined) {
    throw new UsageError({
      code: 'TASK_OPTIONS_INVALID',
      message: 'countdown and eta cannot be given together.',
      fields: { field: 'eta', value: options.eta },
    });
  }
  const ms = (value: ApplyOptions['countdown'], field: string): number | undefined =>
    value === undefined ? undefined : toMilliseconds(value, field);
  return {
    task,
    args,
    kwargs,
    taskId: options.taskId ?? newTaskId(),
    queue: options.queue,
    priority: options.priority,
    countdownMs: countdown(ms(options.countdown, 'countdown'), clock),
    eta: instant(options.eta, 'eta'),
    expires:
      options.expires instanceof Date
        ? instant(options.expires, 'expires')
        : options.expires === undefined
          ? undefined
          : clock.now() + toMilliseconds(options.expires, 'expires'),
    timeLimitMs: ms(options.timeLimit, 'timeLimit'),
    softTimeLimitMs: ms(options.softTimeLimit, 'softTimeLimit'),
    ignoreResult: options.ignoreResult,
    shadow: options.shadow,
    argsRepr: options.argsRepr,
    kwargsRepr: options.kwargsRepr,
    callbacks: linked(options.link).map((one) => one.toWire()),
    errbacks: linked(options.linkError).map((one) => one.toWire()),
    headers: options.headers ?? {},
    stamps: options.stamps,
  };
}

function linked(option: ApplyOptions['link']): readonly Signature[] {
  if (option === undefined) return [];
  return Array.isArray(option) ? (option as readonly Signature[]) : [option as Signature];
}

function linkedCall(call: TaskCall, options: { readonly link: unknown; readonly link_error: unknown }): TaskCall {
  const wire = (value: unknown): NonNullable<TaskCall['callbacks']> =>
    value === undefined ? [] : (value as NonNullable<TaskCall['callbacks']>);
  return {
    ...call,
    callbacks: [...wire(options.link), ...(call.callbacks ?? [])],
    errbacks: [...wire(options.link_error), ...(call.errbacks ?? [])],
  };
}

/** The instant that it leads to must be one; without this the error would speak of an eta that nobody gave. */
function countdown(ms: number | undefined, clock: Clock): number | undefined {
  if (ms === undefined || isWireInstant(clock.now() + ms)) return ms;
  throw new UsageError({
    code: 'TASK_OPTIONS_INVALID',
    message: `countdown must end before the year 10000, got ${ms} ms.`,
    fields: { field: 'countdown', value: ms },
  });
}

function instant(date: Date | undefined, field: string): number | undefined {
  if (date === undefined) return undefined;
  const ms = date instanceof Date ? date.getTime() : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new UsageError({
    code: 'TASK_OPTIONS_INVALID',
    message: `${field} must be a valid Date.`,
    fields: { field, value: date },
  });
}
