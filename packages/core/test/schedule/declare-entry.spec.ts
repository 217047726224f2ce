import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../src/errors/errors.js';
import type { ScheduleEntryInit } from '../../src/schedule/declare-entry.js';
import { declareEntry } from '../../src/schedule/declare-entry.js';

const BASE = { name: 'nightly', task: 'report' } as const;
const EVERY = { ...BASE, every: '1h' } as const;

function cycle(): unknown[] {
  const list: unknown[] = [];
  list.push(list);
  return list;
}

/** The paths of everything that is wrong with a declaration. */
function problems(init: object): string[] {
  try {
    declareEntry(init as ScheduleEntryInit);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems.map((problem) => problem.path);
    throw error;
  }
  return [];
}

describe('a declared schedule entry', () => {
  it('has every default written out', () => {
    expect(declareEntry(EVERY)).toEqual({
      name: 'nightly',
      task: 'report',
      schedule: { kind: 'interval', everyMs: 3_600_000 },
      args: [],
      kwargs: {},
      oneOff: false,
      enabled: true,
      description: '',
      misfire: 'one',
      misfireLimit: 100,
      misfireGraceMs: 60_000,
      jitterMs: 0,
      overlap: 'allow',
    });
  });

  it('keeps what is given, in milliseconds', () => {
    const startTime = new Date('2030-01-01T00:00:00Z');
    const given = {
      ...BASE,
      crontab: '0 4 * * mon-fri',
      args: [1, { deep: [null, true, 'x'] }],
      kwargs: { a: 1 },
      headers: { tenant: 'acme' },
      queue: 'reports',
      priority: 9,
      expires: '30s',
      startTime,
      oneOff: true,
      enabled: false,
      description: 'each night',
      misfire: 'all',
      misfireLimit: 1_000,
      misfireGrace: '5m',
      jitter: '1.0006s',
      overlap: 'skip',
    } as const;
    expect(declareEntry(given)).toEqual({
      name: 'nightly',
      task: 'report',
      schedule: { kind: 'crontab', minute: '0', hour: '4', dayOfMonth: '*', monthOfYear: '*', dayOfWeek: 'mon-fri' },
      args: [1, { deep: [null, true, 'x'] }],
      kwargs: { a: 1 },
      headers: { tenant: 'acme' },
      queue: 'reports',
      priority: 9,
      expiresMs: 30_000,
      startTime: startTime.getTime(),
      oneOff: true,
      enabled: false,
      description: 'each night',
      misfire: 'all',
      misfireLimit: 1_000,
      misfireGraceMs: 300_000,
      // Columns of stores hold whole milliseconds.
      jitterMs: 1_001,
      overlap: 'skip',
    });
  });

  it('knows each kind of schedule', () => {
    const at = new Date('2030-01-31T09:00:00Z');
    expect(declareEntry({ ...BASE, clocked: at, expires: at })).toMatchObject({
      schedule: { kind: 'clocked', at: at.getTime() },
      expiresAt: at.getTime(),
      oneOff: true,
    });
    const solar = { event: 'sunset', latitude: 52.5, longitude: 13.4 } as const;
    expect(declareEntry({ ...BASE, solar }).schedule).toEqual({ kind: 'solar', ...solar });
    const crontab = { hour: '15', timezone: 'Europe/Berlin', gap: 'skip' } as const;
    expect(declareEntry({ ...BASE, crontab }).schedule).toEqual({ kind: 'crontab', ...crontab });
  });

  it.each<[string, object, string]>([
    ['no schedule', BASE, ''],
    ['two schedules', { ...EVERY, crontab: '* * * * *' }, ''],
    ['an interval that is none', { ...BASE, every: 'often' }, '.every.everyMs'],
    ['an interval of nothing', { ...BASE, every: 0 }, '.every.everyMs'],
    ['a part of a millisecond', { ...BASE, every: 0.5 }, '.every.everyMs'],
    ['crontab text that is none', { ...BASE, crontab: 'daily' }, '.crontab'],
    ['a field of crontab text', { ...BASE, crontab: '61 0 * * *' }, '.crontab.minute'],
    ['a crontab with seconds', { ...BASE, crontab: '0 0 4 * * *' }, '.crontab'],
    ['a crontab field that is none', { ...BASE, crontab: { hour: '25' } }, '.crontab.hour'],
    ['an unknown time zone', { ...BASE, crontab: { timezone: 'Mars/Olympus' } }, '.crontab.timezone'],
    ['a place off the earth', { ...BASE, solar: { event: 'sunset', latitude: 91, longitude: 0 } }, '.solar.latitude'],
    ['an empty name', { ...EVERY, name: '' }, '.name'],
    ['a task with a name that is too long', { ...EVERY, task: 'x'.repeat(201) }, '.task'],
    ['a name that is too long', { ...EVERY, name: 'x'.repeat(201) }, '.name'],
    ['no task', { ...EVERY, task: undefined }, '.task'],
    ['an empty task', { ...EVERY, task: '' }, '.task'],
    ['arguments that are no list', { ...EVERY, args: 'x' }, '.args'],
    ['an argument that JSON cannot hold', { ...EVERY, args: [new Date(0)] }, '.args'],
    ['a number that JSON cannot hold', { ...EVERY, args: [Number.NaN] }, '.args'],
    ['a big integer', { ...EVERY, args: [2n] }, '.args'],
    ['a function', { ...EVERY, args: [() => 1] }, '.args'],
    ['a gap', { ...EVERY, args: Array.from({ length: 2 }) }, '.args'],
    ['a cycle', { ...EVERY, args: [cycle()] }, '.args'],
    ['an object of a class', { ...EVERY, kwargs: { a: new Map() } }, '.kwargs'],
    ['keyword arguments that are no object', { ...EVERY, kwargs: [1] }, '.kwargs'],
    ['a keyword argument that JSON cannot hold', { ...EVERY, kwargs: { a: Buffer.from('x') } }, '.kwargs'],
    ['headers that are no object', { ...EVERY, headers: 'x' }, '.headers'],
    ['a queue that cannot be', { ...EVERY, queue: 'a queue' }, '.queue'],
    ['a priority that cannot be', { ...EVERY, priority: 10 }, '.priority'],
    ['an expiry that is none', { ...EVERY, expires: 'soon' }, '.expires'],
    ['an expiry before it begins', { ...EVERY, expires: 0 }, '.expires'],
    ['an expiry that is no date', { ...EVERY, expires: new Date('x') }, '.expires'],
    ['an expiry that no message can hold', { ...EVERY, expires: new Date(8.64e15) }, '.expires'],
    ['a start that is no date', { ...EVERY, startTime: '2030-01-01' }, '.startTime'],
    ['a start that is an invalid date', { ...EVERY, startTime: new Date('x') }, '.startTime'],
    ['a switch that is text', { ...EVERY, enabled: 'yes' }, '.enabled'],
    ['a one-off that is a number', { ...EVERY, oneOff: 1 }, '.oneOff'],
    ['a description that is no text', { ...EVERY, description: 5 }, '.description'],
    ['an unknown misfire policy', { ...EVERY, misfire: 'some' }, '.misfire'],
    ['a misfire limit over the bound', { ...EVERY, misfireLimit: 1_001 }, '.misfireLimit'],
    ['a negative misfire limit', { ...EVERY, misfireLimit: -1 }, '.misfireLimit'],
    ['a misfire grace that is none', { ...EVERY, misfireGrace: 'long' }, '.misfireGrace'],
    ['no grace where what is late is skipped', { ...EVERY, misfire: 'skip', misfireGrace: 0 }, '.misfireGrace'],
    ['the same by a limit', { ...EVERY, misfire: 'all', misfireLimit: 0, misfireGrace: '49ms' }, '.misfireGrace'],
    ['a negative jitter', { ...EVERY, jitter: -1 }, '.jitter'],
    ['an unknown overlap policy', { ...EVERY, overlap: 'wait' }, '.overlap'],
    ['a field nobody knows', { ...EVERY, cron: '* * * * *' }, '.cron'],
  ])('is refused with %s', (_what, init, field) => {
    const { name = '' } = init as { name?: string };
    expect(problems(init)).toEqual([`schedule ${name}${field}`]);
  });

  it.each([
    { misfire: 'skip', misfireGrace: '50ms' },
    { misfire: 'one', misfireGrace: 0 },
    { misfire: 'all', misfireGrace: 0 },
    { misfire: 'skip' },
  ] as const)('may have %j', (init) =>
    expect(declareEntry({ ...BASE, every: '1h', ...init })).toMatchObject({ name: 'nightly' }),
  );

  it('tells which field was probably meant', () => {
    expect(() => declareEntry({ ...EVERY, misfireGrce: '1s' } as never)).toThrow(/Did you mean misfireGrace\?/);
  });

  it('tells of everything that is wrong at once', () => {
    const init = { ...BASE, every: 'often', priority: -1, misfire: 'x', overlap: 'y', jitter: 'z', colour: 1 };
    expect(problems(init)).toEqual(
      ['every.everyMs', 'colour', 'priority', 'misfire', 'overlap', 'jitter'].map(
        (field) => `schedule nightly.${field}`,
      ),
    );
  });

  it('does not take a clocked instant that is no date', () => {
    expect(problems({ ...BASE, clocked: '2030-01-01' })).toContain('schedule nightly.clocked');
    expect(problems({ ...BASE, clocked: new Date('x') })).toContain('schedule nightly.clocked');
  });
});
