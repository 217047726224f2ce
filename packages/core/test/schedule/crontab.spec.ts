import { DateTime } from 'luxon';
import { describe, expect, it } from 'vitest';
import { CrontabSchedule } from '../../src/schedule/crontab.js';
import { parseCrontabText } from '../../src/schedule/crontab-parser.js';
import type { CrontabSpec } from '../../src/schedule/schedule.js';

type Options = Pick<CrontabSpec, 'gap' | 'dayRule'>;

const crontab = (line: string, timezone = 'UTC', options: Options = {}) =>
  new CrontabSchedule({ ...parseCrontabText(line), timezone, ...options });

/** What fires from `from` until before `to`, both wall-clock text in the zone, as `HH:mm` with the UTC offset. */
function runs(line: string, timezone: string, [from, to]: readonly [string, string], options: Options = {}): string[] {
  const schedule = crontab(line, timezone, options);
  const end = DateTime.fromISO(to, { zone: timezone }).toMillis();
  const found: string[] = [];
  let run = schedule.next(DateTime.fromISO(from, { zone: timezone }).toMillis() - 1);
  for (; run !== undefined && run < end; run = schedule.next(run)) {
    found.push(DateTime.fromMillis(run, { zone: timezone }).toFormat('HH:mm ZZ'));
  }
  return found;
}

const next = (line: string, after: string, timezone = 'UTC', options: Options = {}) => {
  const run = crontab(line, timezone, options).next(Date.parse(after));
  return run === undefined ? undefined : new Date(run).toISOString();
};

describe('the clocks go forward and back', () => {
  const NEW_YORK = {
    zone: 'America/New_York',
    gap: ['2026-03-08T00:00', '2026-03-09T00:00'],
    overlap: ['2026-11-01T00:00', '2026-11-02T00:00'],
  } as const;
  const BERLIN = {
    zone: 'Europe/Berlin',
    gap: ['2026-03-29T00:00', '2026-03-30T00:00'],
    overlap: ['2026-10-25T00:00', '2026-10-26T00:00'],
  } as const;
  const LORD_HOWE = {
    zone: 'Australia/Lord_Howe',
    gap: ['2026-10-04T00:00', '2026-10-05T00:00'],
    overlap: ['2026-04-05T00:00', '2026-04-06T00:00'],
  } as const;
  const SAO_PAULO = {
    zone: 'America/Sao_Paulo',
    gap: ['2018-11-03T12:00', '2018-11-04T12:00'],
    overlap: ['2018-02-17T12:00', '2018-02-18T12:00'],
  } as const;

  it.each<[string, string, string, readonly [string, string], string[]]>([
    // America/New_York: 02:00 -> 03:00 and 02:00 -> 01:00. The six declared rows.
    ['fixed, in the gap', '30 2 * * *', NEW_YORK.zone, NEW_YORK.gap, ['03:00 -04:00']],
    ['fixed, overlap day', '30 2 * * *', NEW_YORK.zone, NEW_YORK.overlap, ['02:30 -05:00']],
    ['fixed, in the overlap', '30 1 * * *', NEW_YORK.zone, NEW_YORK.overlap, ['01:30 -04:00']],
    [
      'hourly, overlap',
      '0 * * * *',
      NEW_YORK.zone,
      ['2026-11-01T00:00', '2026-11-01T03:00'],
      ['00:00 -04:00', '01:00 -04:00', '01:00 -05:00', '02:00 -05:00'],
    ],
    ['recurring, gap', '*/30 1-2 * * *', NEW_YORK.zone, NEW_YORK.gap, ['01:00 -05:00', '01:30 -05:00']],
    [
      'recurring, overlap',
      '*/30 1-2 * * *',
      NEW_YORK.zone,
      NEW_YORK.overlap,
      ['01:00 -04:00', '01:30 -04:00', '01:00 -05:00', '01:30 -05:00', '02:00 -05:00', '02:30 -05:00'],
    ],
    // Europe/Berlin: 02:00 -> 03:00 and 03:00 -> 02:00.
    ['fixed, in the gap', '30 2 * * *', BERLIN.zone, BERLIN.gap, ['03:00 +02:00']],
    ['fixed, after the overlap', '30 3 * * *', BERLIN.zone, BERLIN.overlap, ['03:30 +01:00']],
    ['fixed, in the overlap', '30 2 * * *', BERLIN.zone, BERLIN.overlap, ['02:30 +02:00']],
    [
      'hourly, overlap',
      '0 * * * *',
      BERLIN.zone,
      ['2026-10-25T01:00', '2026-10-25T04:00'],
      ['01:00 +02:00', '02:00 +02:00', '02:00 +01:00', '03:00 +01:00'],
    ],
    ['recurring, gap', '*/30 1-2 * * *', BERLIN.zone, BERLIN.gap, ['01:00 +01:00', '01:30 +01:00']],
    [
      'recurring, overlap',
      '*/30 1-2 * * *',
      BERLIN.zone,
      BERLIN.overlap,
      ['01:00 +02:00', '01:30 +02:00', '02:00 +02:00', '02:30 +02:00', '02:00 +01:00', '02:30 +01:00'],
    ],
    // Australia/Lord_Howe: half an hour, 02:00 -> 02:30 and 02:00 -> 01:30.
    ['fixed, in the gap', '15 2 * * *', LORD_HOWE.zone, LORD_HOWE.gap, ['02:30 +11:00']],
    ['fixed, overlap day', '15 2 * * *', LORD_HOWE.zone, LORD_HOWE.overlap, ['02:15 +10:30']],
    ['fixed, in the overlap', '45 1 * * *', LORD_HOWE.zone, LORD_HOWE.overlap, ['01:45 +11:00']],
    [
      'hourly, overlap of half an hour',
      '45 * * * *',
      LORD_HOWE.zone,
      ['2026-04-05T01:00', '2026-04-05T03:00'],
      ['01:45 +11:00', '01:45 +10:30', '02:45 +10:30'],
    ],
    [
      'recurring, gap of half an hour',
      '*/15 1-2 * * *',
      LORD_HOWE.zone,
      LORD_HOWE.gap,
      ['01:00 +10:30', '01:15 +10:30', '01:30 +10:30', '01:45 +10:30', '02:30 +11:00', '02:45 +11:00'],
    ],
    [
      'recurring, overlap of half an hour',
      '*/30 1 * * *',
      LORD_HOWE.zone,
      LORD_HOWE.overlap,
      ['01:00 +11:00', '01:30 +11:00', '01:30 +10:30'],
    ],
    // America/Sao_Paulo, until 2019: 00:00 -> 01:00 and 00:00 -> 23:00 of the day before.
    ['fixed, midnight in the gap', '0 0 * * *', SAO_PAULO.zone, SAO_PAULO.gap, ['01:00 -02:00']],
    ['fixed, the weekday as written', '30 0 * * sun', SAO_PAULO.zone, SAO_PAULO.gap, ['01:00 -02:00']],
    ['fixed, overlap day', '0 0 * * *', SAO_PAULO.zone, SAO_PAULO.overlap, ['00:00 -03:00']],
    ['fixed, in the overlap', '30 23 * * *', SAO_PAULO.zone, SAO_PAULO.overlap, ['23:30 -02:00']],
    [
      'hourly, overlap across midnight',
      '0 * * * *',
      SAO_PAULO.zone,
      ['2018-02-17T22:00', '2018-02-18T01:00'],
      ['22:00 -02:00', '23:00 -02:00', '23:00 -03:00', '00:00 -03:00'],
    ],
    ['recurring, gap', '*/30 0-1 * * *', SAO_PAULO.zone, SAO_PAULO.gap, ['01:00 -02:00', '01:30 -02:00']],
    [
      'recurring, overlap, both Saturdays',
      '*/30 23-0 * * sat',
      SAO_PAULO.zone,
      SAO_PAULO.overlap,
      ['23:00 -02:00', '23:30 -02:00', '23:00 -03:00', '23:30 -03:00'],
    ],
    // America/St_Johns, until 2011: at 00:01 back to 23:01, so that Sunday begins before Saturday is over.
    [
      'recurring, overlap in a day that has begun',
      '*/20 23-0 * * *',
      'America/St_Johns',
      ['2006-10-28T23:00', '2006-10-29T00:30'],
      ['23:00', '23:20', '23:40', '00:00']
        .map((time) => `${time} -02:30`)
        .concat(['23:20', '23:40', '00:00', '00:20'].map((time) => `${time} -03:30`)),
    ],
    // Asia/Kathmandu: fifteen minutes skipped once, on 1 January 1986, 00:00 -> 00:15.
    ['fixed, in the gap', '10 0 * * *', 'Asia/Kathmandu', ['1985-12-31T12:00', '1986-01-01T12:00'], ['00:15 +05:45']],
    [
      'recurring, gap',
      '*/5 0 * * *',
      'Asia/Kathmandu',
      ['1985-12-31T23:00', '1986-01-01T00:30'],
      ['00:15 +05:45', '00:20 +05:45', '00:25 +05:45'],
    ],
    ['fixed, today', '30 2 * * *', 'Asia/Kathmandu', ['2026-03-29T00:00', '2026-03-30T00:00'], ['02:30 +05:45']],
    // UTC never changes.
    ['fixed', '30 2 * * *', 'UTC', ['2026-03-08T00:00', '2026-03-09T00:00'], ['02:30 +00:00']],
    ['recurring', '*/30 1 * * *', 'UTC', ['2026-11-01T00:00', '2026-11-02T00:00'], ['01:00 +00:00', '01:30 +00:00']],
    // Pacific/Apia went without 30 December 2011.
    [
      'fixed, a day that never was',
      '0 12 30 12 *',
      'Pacific/Apia',
      ['2011-12-29T00:00', '2012-01-02T00:00'],
      ['00:00 +14:00'],
    ],
    ['recurring, a day that never was', '0 */6 30 12 *', 'Pacific/Apia', ['2011-12-29T00:00', '2012-01-02T00:00'], []],
  ])('%s: %s in %s', (_case, line, zone, day, expected) => {
    expect(runs(line, zone, day)).toEqual(expected);
  });

  it('fires once for fixed times that meet at the end of the gap', () => {
    expect(runs('15,45 2,14 * * *', NEW_YORK.zone, NEW_YORK.gap)).toEqual([
      '03:00 -04:00',
      '14:15 -04:00',
      '14:45 -04:00',
    ]);
    expect(runs('0,30 2,3 * * *', NEW_YORK.zone, NEW_YORK.gap)).toEqual(['03:00 -04:00', '03:30 -04:00']);
  });

  it('leaves out fixed times in the gap on request, and nothing else', () => {
    const skip = { gap: 'skip' } as const;
    expect(runs('30 2 * * *', NEW_YORK.zone, NEW_YORK.gap, skip)).toEqual([]);
    expect(runs('0,30 2,3 * * *', NEW_YORK.zone, NEW_YORK.gap, skip)).toEqual(['03:00 -04:00', '03:30 -04:00']);
    expect(runs('30 2 * * *', NEW_YORK.zone, ['2026-03-07T00:00', '2026-03-10T00:00'], skip)).toEqual([
      '02:30 -05:00',
      '02:30 -04:00',
    ]);
    expect(runs('*/30 1-2 * * *', NEW_YORK.zone, NEW_YORK.gap, skip)).toEqual(['01:00 -05:00', '01:30 -05:00']);
  });

  it('treats a step or a range in either field as recurring', () => {
    expect(runs('*/30 2 * * *', NEW_YORK.zone, NEW_YORK.gap)).toEqual([]);
    expect(runs('30 2-2 * * *', NEW_YORK.zone, NEW_YORK.gap)).toEqual([]);
    expect(runs('30 1-1 * * *', NEW_YORK.zone, NEW_YORK.overlap)).toEqual(['01:30 -04:00', '01:30 -05:00']);
  });

  it('goes on in the right pass when asked between the two', () => {
    expect(next('30 1 * * *', '2026-11-01T05:30:00Z', NEW_YORK.zone)).toBe('2026-11-02T06:30:00.000Z');
    expect(next('30 * * * *', '2026-11-01T05:30:00Z', NEW_YORK.zone)).toBe('2026-11-01T06:30:00.000Z');
  });
});

describe('days', () => {
  it('needs the day of month and the day of week, as Celery does', () => {
    expect(next('0 0 13 * fri', '2026-01-01T00:00:00Z')).toBe('2026-02-13T00:00:00.000Z');
  });

  it('is content with either under the rule or', () => {
    const or = { dayRule: 'or' } as const;
    expect(next('0 0 13 * fri', '2026-01-01T00:00:00Z', 'UTC', or)).toBe('2026-01-02T00:00:00.000Z');
    expect(next('0 0 13 * fri', '2026-01-09T00:00:00Z', 'UTC', or)).toBe('2026-01-13T00:00:00.000Z');
    expect(next('0 0 * * fri', '2026-01-03T00:00:00Z', 'UTC', or)).toBe('2026-01-09T00:00:00.000Z');
    expect(next('0 0 13 * *', '2026-01-14T00:00:00Z', 'UTC', or)).toBe('2026-02-13T00:00:00.000Z');
  });

  it('takes the day in the zone, not in UTC', () => {
    expect(next('0 8 1 * *', '2026-01-31T22:00:00Z', 'Asia/Tokyo')).toBe('2026-01-31T23:00:00.000Z');
    expect(next('0 22 31 * *', '2026-01-31T23:00:00Z', 'America/New_York')).toBe('2026-02-01T03:00:00.000Z');
  });

  it('waits for a leap day, across the year 2100 too', () => {
    expect(next('0 0 29 2 *', '2096-03-01T00:00:00Z')).toBe('2104-02-29T00:00:00.000Z');
    expect(next('0 0 29 2 mon', '2072-03-01T00:00:00Z')).toBe('2112-02-29T00:00:00.000Z');
  });
});

describe('search', () => {
  it.each(['0 0 31 2 *', '0 0 30 feb *', '* * 31 4,6,9,11 *', '* * 30-31 2 mon'])(
    'knows at once that %s never comes',
    (line) => {
      const schedule = crontab(line, 'Europe/Berlin');
      const started = performance.now();
      expect(schedule.next(Date.parse('2026-01-01T00:00:00Z'))).toBeUndefined();
      expect(performance.now() - started).toBeLessThan(2_000);
    },
  );

  it('has no next beyond the years that a Date can hold, nor after nonsense', () => {
    for (const after of [8.64e15, -8.64e15, Number.POSITIVE_INFINITY, Number.NaN]) {
      expect(crontab('* * * * *').next(after)).toBeUndefined();
    }
  });

  it('is strictly after, to the millisecond', () => {
    expect(next('0 12 * * *', '2026-01-01T11:59:59.999Z')).toBe('2026-01-01T12:00:00.000Z');
    expect(next('0 12 * * *', '2026-01-01T12:00:00.000Z')).toBe('2026-01-02T12:00:00.000Z');
    expect(crontab('* * * * *').next(59_999.5)).toBe(60_000);
  });

  it('works before 1970 and with offsets that are not whole minutes', () => {
    // New York was 4:56:02 behind Greenwich until November 1883.
    expect(next('0 12 * * *', '1880-01-01T00:00:00Z', 'America/New_York')).toBe('1880-01-01T16:56:02.000Z');
  });
});

describe('in words', () => {
  it.each([
    ['0 15 * * *', 'at 15:00, UTC'],
    ['15,45 2,14 * * *', 'at 02:15, 02:45, 14:15 and 14:45, UTC'],
    ['* * * * *', 'every minute, UTC'],
    ['*/15 * * * *', 'every 15 minutes, UTC'],
    ['*/15 8-18 * * mon-fri', 'every 15 minutes of hours 8 to 18 on Monday to Friday, UTC'],
    ['0 * * * *', 'at minute 0 of every hour, UTC'],
    ['*/25 3 * * *', 'at minutes 0, 25 and 50 of hour 3, UTC'],
    ['0 0 1,15 jan,feb *', 'at 00:00 on days 1 and 15 of the month in January and February, UTC'],
    ['0 0 13 * fri', 'at 00:00 on day 13 of the month if it is Friday, UTC'],
  ])('%s', (line, words) => {
    expect(crontab(line).describe()).toBe(words);
  });

  it('tells the rule or, and the zone', () => {
    expect(crontab('0 0 13 * fri', 'Europe/Berlin', { dayRule: 'or' }).describe()).toBe(
      'at 00:00 on day 13 of the month or on Friday, Europe/Berlin',
    );
  });
});
