import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  nextRuns,
  scheduleFingerprint,
  scheduleFrom,
  validateScheduleSpec,
} from '../../src/schedule/schedule-factory.js';
import type { ScheduleSpec } from '../../src/schedule/schedule.js';
import { refusal } from './refusal.js';

const SPECS: ScheduleSpec[] = [
  { kind: 'interval', everyMs: 30_000 },
  { kind: 'interval', everyMs: 30_000, anchor: 5 },
  { kind: 'crontab' },
  { kind: 'crontab', hour: '15', minute: '0', timezone: 'Europe/Berlin', gap: 'skip', dayRule: 'or' },
  { kind: 'clocked', at: 4e12 },
  { kind: 'solar', event: 'sunset', latitude: 52.52, longitude: 13.405 },
];

describe('schedule from a specification', () => {
  it.each(SPECS)('builds $kind', (spec) => {
    expect(validateScheduleSpec(spec, 'schedule')).toEqual([]);
    const schedule = scheduleFrom(spec);
    expect(schedule.kind).toBe(spec.kind);
    expect(schedule.next(Date.UTC(2026, 0))).toBeGreaterThan(Date.UTC(2026, 0));
    expect(schedule.describe()).not.toBe('');
  });

  it('survives a round trip through JSON, also with undefined fields', () => {
    for (const spec of SPECS) expect(scheduleFrom(JSON.parse(JSON.stringify(spec))).kind).toBe(spec.kind);
    expect(scheduleFrom({ kind: 'crontab', minute: undefined } as ScheduleSpec).describe()).toBe('every minute, UTC');
  });

  it('refuses a wrong one with every problem', () => {
    const spec = { kind: 'crontab', minute: '61', hour: '*/0', timezone: 'Mars/Olympus' } as const;
    const error = refusal(() => scheduleFrom(spec));
    expect(error.message).toContain('crontab.minute: expected a number from 0 to 59');
    expect(error.message).toContain('crontab.hour: expected a step from 1 to 24');
    expect(error.message).toContain('crontab.timezone: expected a known time zone, got "Mars/Olympus". Give an IANA');
    expect(error.fields['problems']).toHaveLength(3);
  });
});

describe('validation', () => {
  it.each<[unknown, string[]]>([
    [undefined, ['s']],
    [null, ['s']],
    ['0 4 * * *', ['s']],
    [[], ['s']],
    [{}, ['s.kind']],
    [{ kind: 'toString' }, ['s.kind']],
    [{ kind: 'interval' }, ['s.everyMs']],
    [{ kind: 'interval', everyMs: 0 }, ['s.everyMs']],
    [{ kind: 'interval', everyMs: -1000 }, ['s.everyMs']],
    [{ kind: 'interval', everyMs: 1.5, anchor: 0.5 }, ['s.everyMs', 's.anchor']],
    [{ kind: 'interval', everyMs: '1000' }, ['s.everyMs']],
    [{ kind: 'interval', everyMs: Number.NaN }, ['s.everyMs']],
    [{ kind: 'interval', everyMs: 1, anchor: null }, ['s.anchor']],
    [{ kind: 'interval', everyMs: 1000, every: 5 }, ['s.every']],
    [{ kind: 'crontab', minute: 5 }, ['s.minute']],
    [{ kind: 'crontab', minute: '60', dayOfWeek: 'moon', timezone: 3 }, ['s.minute', 's.dayOfWeek', 's.timezone']],
    [{ kind: 'crontab', gap: 'both', dayRule: 'xor', dayOfmonth: '1' }, ['s.dayOfmonth', 's.gap', 's.dayRule']],
    [{ kind: 'clocked' }, ['s.at']],
    [{ kind: 'clocked', at: 9e15 }, ['s.at']],
    [{ kind: 'clocked', at: new Date(0) }, ['s.at']],
    [{ kind: 'solar', event: 'moonrise', latitude: 91, longitude: -181 }, ['s.event', 's.latitude', 's.longitude']],
    [{ kind: 'solar', event: 'sunrise', latitude: Number.NaN }, ['s.latitude', 's.longitude']],
  ])('of %j', (spec, paths) => {
    expect(validateScheduleSpec(spec, 's').map((problem) => problem.path)).toEqual(paths);
  });

  it('never throws', () => {
    const kind = fc.constantFrom('interval', 'crontab', 'clocked', 'solar', 'other');
    const fields = fc.dictionary(
      fc.constantFrom('everyMs', 'minute', 'timezone', 'at', 'event', 'latitude'),
      fc.anything(),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.tuple(kind, fields).map(([each, rest]) => ({ ...rest, kind: each })),
        ),
        (spec) => {
          if (validateScheduleSpec(spec, 's').length > 0) refusal(() => scheduleFrom(spec as ScheduleSpec));
          else expect(scheduleFrom(spec as ScheduleSpec).describe()).not.toBe('');
        },
      ),
    );
  });
});

describe('next runs', () => {
  it('lists as many as asked for', () => {
    expect(nextRuns({ kind: 'interval', everyMs: 10 }, 5, 3)).toEqual([10, 20, 30]);
    expect(nextRuns({ kind: 'interval', everyMs: 10 }, 5, 0)).toEqual([]);
  });

  it('lists fewer when there are no more', () => {
    expect(nextRuns({ kind: 'clocked', at: 10 }, 5, 3)).toEqual([10]);
  });

  it.each([-1, 1.5, 1001, Number.NaN])('refuses to list %d', (count) => {
    expect(refusal(() => nextRuns({ kind: 'clocked', at: 10 }, 5, count)).message).toMatch(/^count: /);
  });
});

describe('fingerprint', () => {
  it('does not depend on the order of keys, on defaults, or on undefined fields', () => {
    const print = scheduleFingerprint({ kind: 'crontab', minute: '0', hour: '4' });
    expect(scheduleFingerprint({ hour: '4', minute: '0', kind: 'crontab' })).toBe(print);
    expect(scheduleFingerprint({ kind: 'crontab', minute: '0', hour: '4', timezone: 'UTC', gap: 'run' })).toBe(print);
    expect(scheduleFingerprint({ kind: 'crontab', minute: '0', hour: '4', dayRule: undefined } as ScheduleSpec)).toBe(
      print,
    );
  });

  it('differs between all specifications and start times', () => {
    const prints = [
      ...SPECS.map((spec) => scheduleFingerprint(spec)),
      ...SPECS.map((spec) => scheduleFingerprint(spec, 0)),
      ...SPECS.map((spec) => scheduleFingerprint(spec, 1)),
      scheduleFingerprint({ kind: 'clocked', at: 30_000 }),
      scheduleFingerprint({ kind: 'crontab', minute: '1' }),
      scheduleFingerprint({ kind: 'crontab', hour: '1' }),
    ];
    expect(new Set(prints).size).toBe(prints.length);
  });

  it('stays short for the longest specification', () => {
    const field = (length: number): string => '1'.padEnd(length, ',1');
    const spec: ScheduleSpec = {
      kind: 'crontab',
      minute: field(239),
      hour: field(95),
      dayOfMonth: field(123),
      monthOfYear: field(63),
      dayOfWeek: field(63),
      timezone: 'America/Argentina/ComodRivadavia',
      gap: 'skip',
    };
    expect(validateScheduleSpec(spec, 's')).toEqual([]);
    const print = scheduleFingerprint(spec, 8.64e15);
    expect(print.length).toBeLessThanOrEqual(255);
    expect(scheduleFingerprint({ ...spec, dayOfWeek: '1' }, 8.64e15)).not.toBe(print);
    expect(scheduleFingerprint(spec, 8.64e15 - 1)).not.toBe(print);
    expect(scheduleFingerprint({ ...spec, dayRule: 'and' }, 8.64e15)).toBe(print);
  });

  it('refuses what is no schedule', () => {
    refusal(() => scheduleFingerprint(undefined as unknown as ScheduleSpec));
    refusal(() => scheduleFingerprint({ kind: 'other' } as unknown as ScheduleSpec));
  });
});
