import { describe } from 'vitest';
import { rabbitmqIsInstalled } from '../support/rabbitmq-server.js';
import { chaos } from './scenarios.js';

// On a server of its own for each case; results and schedules are in an SQLite file.
describe.skipIf(!rabbitmqIsInstalled)('[rabbitmq]', () => chaos('rabbitmq'));
