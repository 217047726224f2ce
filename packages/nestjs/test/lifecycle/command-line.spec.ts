import { describe, expect, it } from 'vitest';
import { parseWorkerArguments } from '../../src/lifecycle/command-line.js';

describe('parseWorkerArguments', () => {
  it('reads long and short forms', () => {
    expect(parseWorkerArguments(['-Q', 'a, b', '-c', '4', '-P', 'solo', '-n', 'w', '--track-started', '-E'])).toEqual({
      kind: 'run',
      overrides: { queues: ['a', 'b'], concurrency: 4, pool: 'solo', name: 'w', trackStarted: true, events: true },
    });
    expect(parseWorkerArguments(['--queues=a', '--lease', '10s', '--shutdown-grace=1m'])).toEqual({
      kind: 'run',
      overrides: { queues: ['a'], lease: '10s', shutdownGrace: '1m' },
    });
    expect(parseWorkerArguments(['--autoscale', '8,2'])).toEqual({ kind: 'run', overrides: { autoscale: '8,2' } });
    const children = ['--pool', 'prefork', '--max-tasks-per-child', '50', '--max-memory-per-child', '200mb'];
    expect(parseWorkerArguments(children)).toEqual({
      kind: 'run',
      overrides: { pool: 'prefork', maxTasksPerChild: 50, maxMemoryPerChild: '200mb' },
    });
  });

  it('takes off the quotes that some launchers leave', () => {
    expect(parseWorkerArguments(['"--queues"', '"a"'])).toMatchObject({ overrides: { queues: ['a'] } });
  });

  it('hands on what is no number, for the validation to name', () => {
    expect(parseWorkerArguments(['-c', '1.5'])).toMatchObject({ overrides: { concurrency: '1.5' } });
  });

  it.each([[['--nope']], [['-c']], [['stray']]])('refuses %j', (args) => {
    expect(() => parseWorkerArguments(args)).toThrow(/command line/);
  });

  it.each([
    ['--quues', '--queues'],
    ['--shutdwn-grace=5s', '--shutdown-grace'],
    ['--hepl', '--help'],
  ])('names what was probably meant by %s', (wrong, right) => {
    expect(() => parseWorkerArguments(['-c', '2', wrong])).toThrow(`Did you mean ${right}?`);
  });

  it('knows no overrides without arguments', () => {
    expect(parseWorkerArguments([])).toEqual({ kind: 'run', overrides: {} });
  });
});
