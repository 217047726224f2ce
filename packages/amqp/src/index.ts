export { amqpDriver, createDriver } from './amqp-driver.js';
export type { AmqpDriverOptions, AmqpQueueType } from './amqp-options.js';
export { AMQP_SCHEMES } from './amqp-url.js';
export type { AmqpHost } from './amqp-url.js';
