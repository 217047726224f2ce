// The raw client doing the same promises: every message persistent and confirmed, every message parsed and acknowledged by
// itself. No declaration while it runs, no counting of deliveries, no delay, no pipeline.
import { newTaskId } from '@taskqueue/core';
import { connect } from '../amqplib.mjs';
import { payload } from './payload.mjs';

const QUEUE = 'raw-noop';

export async function open(url) {
  const [publishing, consuming] = await Promise.all([connect(url), connect(url)]);
  const sender = await publishing.createConfirmChannel();
  const receiver = await consuming.createChannel();
  await sender.assertQueue(QUEUE, { durable: true });
  const send = (index) =>
    new Promise((resolve, reject) => {
      const body = Buffer.from(JSON.stringify([[payload(index)], {}, {}]));
      const options = {
        mandatory: true,
        persistent: true,
        messageId: newTaskId(),
        contentType: 'application/json',
        headers: { task: 'noop' },
      };
      sender.publish('', QUEUE, body, options, (error) => (error === null ? resolve() : reject(error)));
    });
  return {
    enqueue: send,
    enqueueBulk: (indexes) => Promise.all(indexes.map(send)),
    async work(concurrency, onTask) {
      await receiver.prefetch(Math.max(250, concurrency));
      await receiver.consume(QUEUE, (message) => {
        onTask(JSON.parse(message.content.toString())[0][0]);
        receiver.ack(message);
      });
    },
    close: () => Promise.all([publishing.close(), consuming.close()]),
  };
}
