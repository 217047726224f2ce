import { connect } from 'amqplib';
import type { Broker, Consumer, Driver } from '@taskqueue/core';
import type { AmqpDriverOptions } from '../src/index.js';
import { amqpDriver } from '../src/index.js';
import { recordingLogger } from '../../../test/support/deliveries.js';

export { ack, idOf, recordingLogger, take } from '../../../test/support/deliveries.js';

/** A connected driver, its broker without a question mark, and what it logged. */
export interface OpenedDriver {
  readonly driver: Driver;
  readonly broker: Broker;
  readonly log: readonly string[];
  consume(queues: readonly string[]): Promise<Consumer>;
  /** Closes it, and removes the queues and exchanges that it declared. */
  dispose(): Promise<void>;
}

export async function openDriver(options: AmqpDriverOptions): Promise<OpenedDriver> {
  const log: string[] = [];
  const driver = amqpDriver(options);
  const declared = watchDeclared(driver);
  await driver.connect({ logger: recordingLogger(log) });
  const { broker } = driver;
  if (!broker) throw new Error('the broker is missing');
  return {
    driver,
    broker,
    log,
    consume: (queues) => broker.consume({ queues, consumerId: 'test', leaseMs: 30_000 }),
    dispose: async () => {
      await driver.close();
      if (options.url !== undefined) await removeDeclared(options.url, declared);
    },
  };
}

/** Names of the queues and exchanges that go through a driver from now on. */
export function watchDeclared({ broker, pubsub }: Driver): Set<string> {
  const names = new Set<string>();
  if (broker !== undefined) {
    const declare = broker.declare.bind(broker);
    const publish = broker.publish.bind(broker);
    broker.declare = (queues) => {
      for (const { name } of queues) names.add(name);
      return declare(queues);
    };
    broker.publish = (messages, options) => {
      for (const { queue } of messages) names.add(queue);
      return publish(messages, options);
    };
  }
  if (pubsub !== undefined) {
    const publish = pubsub.publish.bind(pubsub);
    const subscribe = pubsub.subscribe.bind(pubsub);
    pubsub.publish = (publications) => {
      for (const { channel } of publications) names.add(channel.exchange);
      return publish(publications);
    };
    pubsub.subscribe = (channels, listener) => {
      for (const { exchange } of channels) names.add(exchange);
      return subscribe(channels, listener);
    };
  }
  return names;
}

/** What a test left behind: nothing else on a server that others use as well. */
export async function removeDeclared(url: string, names: ReadonlySet<string>): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  for (const name of names) {
    if (!/^[A-Za-z0-9_.:-]+$/.test(name) || name.startsWith('celery') || name.startsWith('amq.')) continue;
    await channel.deleteQueue(name);
    await channel.deleteQueue(`taskqueue.dead.${name}`);
    await channel.deleteQueue(`taskqueue.paused.${name}`);
    await channel.deleteExchange(name);
  }
  await connection.close();
}
