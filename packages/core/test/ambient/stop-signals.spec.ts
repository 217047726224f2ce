import { expect, it } from 'vitest';
import { stopSignals } from '../../src/ambient/stop-signals.js';

it.each([
  ['linux', ['SIGTERM', 'SIGINT']],
  ['darwin', ['SIGTERM', 'SIGINT']],
  ['win32', ['SIGTERM', 'SIGINT', 'SIGBREAK', 'SIGHUP']],
] as const)('a process on %s is asked to end by %j', (platform, signals) => {
  expect(stopSignals(platform)).toEqual(signals);
});
