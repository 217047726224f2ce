import type { TaskQueueSettings } from '../config/settings.js';
import { validateSettings } from '../config/validate-settings.js';
import { decodeBody, openEnvelope } from '../message/celery-protocol.js';
import { decodeOptionsFrom } from '../message/wire-format.js';
import type { Broker, Consumer, OutgoingMessage } from '../ports/broker.js';
import type { Settlement } from '../ports/delivery.js';
import type { Driver } from '../ports/driver.js';
import type { ScheduleStore } from '../ports/schedule-store.js';

/** A task that was enqueued, as its worker will see it. */
export interface EnqueuedTask {
  readonly id: string;
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly queue: string;
  readonly priority: number;
  /** Epoch milliseconds; undefined: at once. */
  readonly eta: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  /** Who caused it: a client, a task that ended (its links), or beat. */
  readonly by: 'client' | 'task' | 'beat';
}

/** What a {@link recordingDriver} has seen. */
export interface EnqueuedLog {
  /** All of them, oldest first. Retries of one task are the same task and do not count again. */
  list(): readonly EnqueuedTask[];
  clear(): void;
}

/** A driver that goes on working and keeps a record of every task that it accepted, with decoded arguments. */
export function recordingDriver(
  driver: Driver,
  settings: TaskQueueSettings = validateSettings({}),
): { readonly driver: Driver; readonly log: EnqueuedLog } {
  let tasks: EnqueuedTask[] = [];
  const decoding = decodeOptionsFrom(settings);
  const record = (messages: readonly OutgoingMessage[], by: EnqueuedTask['by']): void => {
    for (const message of messages) tasks.push(read(message, by, decoding));
  };
  const recorded: Driver = {
    name: driver.name,
    contract: driver.contract,
    ...(driver.broker === undefined ? {} : { broker: recordingBroker(driver.broker, record) }),
    ...(driver.results === undefined ? {} : { results: driver.results }),
    ...(driver.rpc === undefined ? {} : { rpc: driver.rpc }),
    ...(driver.revocations === undefined ? {} : { revocations: driver.revocations }),
    ...(driver.schedules === undefined ? {} : { schedules: recordingSchedules(driver.schedules, record) }),
    ...(driver.inspector === undefined ? {} : { inspector: driver.inspector }),
    ...(driver.locks === undefined ? {} : { locks: driver.locks }),
    ...(driver.barriers === undefined ? {} : { barriers: driver.barriers }),
    ...(driver.pubsub === undefined ? {} : { pubsub: driver.pubsub }),
    describe: () => driver.describe(),
    connect: (context) => driver.connect(context),
    close: () => driver.close(),
    ping: () => driver.ping(),
  };
  return { driver: recorded, log: { list: () => tasks, clear: () => void (tasks = []) } };
}

type Recorder = (messages: readonly OutgoingMessage[], by: EnqueuedTask['by']) => void;

function read(
  outgoing: OutgoingMessage,
  by: EnqueuedTask['by'],
  decoding: ReturnType<typeof decodeOptionsFrom>,
): EnqueuedTask {
  const envelope = openEnvelope(outgoing.message, decoding);
  const { args, kwargs } = decodeBody(outgoing.message, envelope, decoding);
  return {
    id: outgoing.id,
    task: outgoing.task,
    args,
    kwargs,
    queue: outgoing.queue,
    priority: outgoing.priority,
    eta: envelope.eta,
    headers: envelope.customHeaders,
    by,
  };
}

function recordingBroker(broker: Broker, record: Recorder): Broker {
  return overlay(broker, {
    async publish(messages, options) {
      const outcomes = await broker.publish(messages, options);
      const accepted = messages.filter((_, index) => outcomes[index]?.status === 'accepted');
      record(accepted, 'client');
      return outcomes;
    },
    async consume(subscription) {
      return recordingConsumer(await broker.consume(subscription), record);
    },
  });
}

function recordingConsumer(consumer: Consumer, record: Recorder): Consumer {
  return overlay(consumer, {
    async settle(settlements) {
      const outcomes = await consumer.settle(settlements);
      settlements.forEach((settlement, index) => {
        if (outcomes[index] === 'settled') record(followUps(settlement), 'task');
      });
      return outcomes;
    },
  });
}

function followUps(settlement: Settlement): readonly OutgoingMessage[] {
  return 'effects' in settlement ? (settlement.effects?.publish ?? []) : [];
}

function recordingSchedules(schedules: ScheduleStore, record: Recorder): ScheduleStore {
  return overlay(schedules, {
    async advance(step) {
      const moved = await schedules.advance(step);
      if (moved) record(step.publish ?? [], 'beat');
      return moved;
    },
  });
}

/** The port with some of its methods replaced; the others are called on the port itself. */
function overlay<T extends object>(port: T, methods: Partial<T>): T {
  return new Proxy(port, {
    get(target, property) {
      const replaced: unknown = Reflect.get(methods, property);
      if (replaced !== undefined) return replaced;
      const member: unknown = Reflect.get(target, property, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}
