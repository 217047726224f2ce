// The client that @taskqueue/amqp uses. It is that package's own dependency, not the root's.
import { createRequire } from 'node:module';

export const { connect } = createRequire(new URL('../../packages/amqp/package.json', import.meta.url))('amqplib');
