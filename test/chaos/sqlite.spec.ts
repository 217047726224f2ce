import { chaos } from './scenarios.js';

chaos('sqlite');
