import { EventEmitter } from 'node:events';
import type { PublishOutcome } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { outgoing } from '../../../test/support/outgoing.js';
import { AmqpPublisher } from '../src/amqp-publisher.js';
import type { AmqpPublisherOptions } from '../src/amqp-publisher.js';

/** A channel that confirms only what it is told to. */
class Reluctant extends EventEmitter {
  readonly unconfirmed: ((error: Error | null) => void)[] = [];

  publish(...[, , , , confirm]: [string, string, Buffer, object, (error: Error | null) => void]): boolean {
    this.unconfirmed.push(confirm);
    return true;
  }
}

const CONFIRM_TIMEOUT_MS = 2_000;

function publisherOn(channel: Reluctant): AmqpPublisher {
  const connection = {
    blockedBy: undefined,
    listen: () => () => undefined,
    open: () => Promise.resolve(),
    createConfirmChannel: () => Promise.resolve(channel),
    abandon: () => channel.emit('close'),
  };
  const topology = { has: () => true, use: () => undefined };
  return new AmqpPublisher({
    connection,
    delaying: connection,
    topology,
    delays: topology,
    settings: { confirmTimeoutMs: CONFIRM_TIMEOUT_MS, blockedTimeoutMs: 5_000, maxMessageBytes: 1_000_000 },
  } as unknown as AmqpPublisherOptions);
}

describe('a publisher', () => {
  let publisher: AmqpPublisher | undefined;
  afterEach(async () => publisher?.close());

  it.each([
    ['what is due', {}],
    ['delayed messages', { delayMs: 60_000 }],
  ])('waits for the rest of %s while their queue confirms one after the other, and no longer', async (_name, due) => {
    const channel = new Reluctant();
    publisher = publisherOn(channel);
    const ended: { readonly at: number; readonly outcome: PublishOutcome | undefined }[] = [];
    const began = performance.now();
    const sent = [1, 2, 3].map(async () => {
      const [outcome] = await publisher!.publish([outgoing('q', due)]);
      ended.push({ at: performance.now() - began, outcome });
    });
    await eventually(() => expect(channel.unconfirmed).toHaveLength(3));
    await eventually(() => expect(performance.now() - began).toBeGreaterThan(0.75 * CONFIRM_TIMEOUT_MS));
    channel.unconfirmed[0]?.(null);
    await eventually(() => expect(performance.now() - began).toBeGreaterThan(1.5 * CONFIRM_TIMEOUT_MS));
    channel.unconfirmed[1]?.(null);
    await Promise.all(sent);
    expect(ended.map(({ outcome }) => outcome?.status)).toEqual(['accepted', 'accepted', 'unknown']);
    expect(ended[2]?.at).toBeGreaterThan(2.5 * CONFIRM_TIMEOUT_MS);
  });
});
