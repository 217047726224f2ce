import { describe } from 'vitest';
import { postgresUrl } from '../support/databases.js';
import { chaos } from './scenarios.js';

describe.skipIf(postgresUrl === undefined)('[postgres]', () => chaos('postgres'));
