import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTaskQueueError } from '../../src/errors/errors.js';
import {
  MONTH_NAMES,
  CRONTAB_FIELDS,
  type CrontabFieldName,
  parseCrontabField,
  parseCrontabText,
} from '../../src/schedule/crontab-parser.js';
import { refusal } from './refusal.js';

const values = (text: string, field: CrontabFieldName) => [...parseCrontabField(text, field).values];

describe('crontab field', () => {
  it.each<[string, CrontabFieldName, number[]]>([
    ['7', 'minute', [7]],
    ['05', 'minute', [5]],
    ['*/15', 'minute', [0, 15, 30, 45]],
    ['30,0,30', 'minute', [0, 30]],
    [' 1, 2 ', 'minute', [1, 2]],
    ['10-20/5,50', 'minute', [10, 15, 20, 50]],
    ['50-10/10', 'minute', [0, 10, 50]],
    ['22-2', 'hour', [0, 1, 2, 22, 23]],
    ['22-2/2', 'hour', [0, 2, 22]],
    ['*/24', 'hour', [0]],
    ['31-2', 'dayOfMonth', [1, 2, 31]],
    ['*/10', 'dayOfMonth', [1, 11, 21, 31]],
    ['nov-feb', 'monthOfYear', [1, 2, 11, 12]],
    ['*/3', 'monthOfYear', [1, 4, 7, 10]],
    ['JAN,September,sept', 'monthOfYear', [1, 9]],
    ['fri-mon', 'dayOfWeek', [0, 1, 5, 6]],
    ['fri-mon/2', 'dayOfWeek', [0, 5]],
    ['Monday,TUES', 'dayOfWeek', [1, 2]],
    ['7', 'dayOfWeek', [0]],
    ['5-7', 'dayOfWeek', [0, 5, 6]],
    ['5-7/2', 'dayOfWeek', [0, 5]],
    ['7-2', 'dayOfWeek', [0, 1, 2]],
    ['7-7', 'dayOfWeek', [0]],
    ['sat-sun', 'dayOfWeek', [0, 6]],
    ['0-7', 'dayOfWeek', [0, 1, 2, 3, 4, 5, 6]],
    ['*/2', 'dayOfWeek', [0, 2, 4, 6]],
  ])('%s as %s', (text, field, expected) => {
    expect(values(text, field)).toEqual(expected);
  });

  it('knows a list of single values from other ways of writing', () => {
    expect(parseCrontabField('1,2,3', 'hour')).toMatchObject({ listed: true, whole: false });
    expect(parseCrontabField('1-3', 'hour')).toMatchObject({ listed: false, whole: false });
    expect(parseCrontabField('1,2-3', 'hour')).toMatchObject({ listed: false, whole: false });
    expect(parseCrontabField('*', 'hour')).toMatchObject({ listed: false, whole: true });
    expect(parseCrontabField('1-7', 'dayOfWeek')).toMatchObject({ listed: false, whole: true });
  });

  it.each<[string, CrontabFieldName, RegExp]>([
    [
      '60',
      'minute',
      /^crontab\.minute: expected a number from 0 to 59 at position 1, where "60" stands, got "60"\. Write/,
    ],
    ['1,2,61', 'minute', /at position 5, where "61" stands, got "1,2,61"/],
    ['24', 'hour', /from 0 to 23/],
    ['0', 'dayOfMonth', /from 1 to 31/],
    ['32', 'dayOfMonth', /from 1 to 31/],
    ['13', 'monthOfYear', /from 1 to 12 or a name such as jan/],
    ['8', 'dayOfWeek', /from 0 to 7 or a name such as sun/],
    ['mo', 'dayOfWeek', /where "mo" stands/],
    ['mondays', 'dayOfWeek', /where "mondays" stands/],
    ['mon', 'minute', /from 0 to 59 at position 1/],
    ['', 'minute', /at position 1, got ""\. Write e\.g\. '\*\/15', without empty items/],
    ['1,,2', 'minute', /at position 3/],
    ['1,', 'minute', /at position 3/],
    ['*/0', 'minute', /expected a step from 1 to 60 at position 3, where "0" stands/],
    ['*/90', 'minute', /expected a step from 1 to 60/],
    ['*/', 'minute', /expected a step from 1 to 60 at position 3, got/],
    ['*/x', 'minute', /where "x" stands/],
    ['1-10/2/3', 'minute', /where "2\/3" stands/],
    ['5/15', 'minute', /a range or \* before a step .* Write '5-59\/15' or '\*\/15'/],
    ['-5', 'minute', /at position 1/],
    ['1-2-3', 'minute', /at position 3, where "2-3" stands/],
    ['1-', 'minute', /at position 3/],
    ['**', 'minute', /where "\*\*" stands/],
    ['1e1', 'minute', /where "1e1" stands/],
    ['١', 'minute', /position 1/],
    ['1'.repeat(241), 'minute', /at most 240 characters/],
    ['1'.repeat(97), 'hour', /at most 96 characters/],
    ['1'.repeat(125), 'dayOfMonth', /at most 124 characters/],
    [MONTH_NAMES.join(','), 'monthOfYear', /at most 64 characters/],
    ['1'.repeat(65), 'dayOfWeek', /at most 64 characters/],
  ])('refuses %s as %s', (text, field, message) => {
    const error = refusal(() => parseCrontabField(text, field));
    expect(error.message).toMatch(message);
    expect(error.fields).toMatchObject({ field: `crontab.${field}`, value: text });
  });

  it('names the path it was given', () => {
    const error = refusal(() => parseCrontabField('x', 'minute', 'schedules.nightly.minute'));
    expect(error.message).toMatch(/^schedules\.nightly\.minute: /);
  });

  it('reads back every set of values written in any of its forms', () => {
    const item = fc.tuple(fc.nat(23), fc.nat(23), fc.integer({ min: 1, max: 24 })).map(([from, to, step]) => {
      const covered = Array.from({ length: ((to - from + 24) % 24) + 1 }, (_, index) => (from + index) % 24);
      return { text: `${from}-${to}/${step}`, covered: covered.filter((_, index) => index % step === 0) };
    });
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 10 }), (items) => {
        const expected = new Set(items.flatMap((each) => each.covered));
        expect(values(items.map((each) => each.text).join(','), 'hour')).toEqual([...expected].sort((a, b) => a - b));
      }),
    );
  });

  it('answers hostile text at once, with values or our error', () => {
    const hostile = fc.oneof(
      fc.string({ maxLength: 600, unit: 'binary' }),
      fc
        .array(fc.constantFrom('*', '/', '-', ',', '0', '59', 'mon', ' ', '\n', '🙂'), { maxLength: 600 })
        .map((parts) => parts.join('')),
      fc.constantFrom('*,'.repeat(128), '0-59,'.repeat(51) + '1', '-'.repeat(1e5), ' '.repeat(1e5), '1 '.repeat(1e5)),
    );
    fc.assert(
      fc.property(hostile, fc.constantFrom(...CRONTAB_FIELDS), (text, field) => {
        const started = performance.now();
        for (const parse of [() => parseCrontabField(text, field), () => parseCrontabText(text)]) {
          try {
            parse();
          } catch (error) {
            if (!isTaskQueueError(error, 'SCHEDULE_INVALID')) throw error;
            expect(error.message.length).toBeLessThan(700);
          }
        }
        expect(performance.now() - started).toBeLessThan(2_000);
      }),
      { numRuns: 80 },
    );
  });
});

describe('crontab line', () => {
  it('reads five fields', () => {
    expect(parseCrontabText(' 0 4  *\t* 1-5 ')).toEqual({
      kind: 'crontab',
      minute: '0',
      hour: '4',
      dayOfMonth: '*',
      monthOfYear: '*',
      dayOfWeek: '1-5',
    });
  });

  it.each([
    ['0 0 4 * * 1-5', /five fields.*Crontabs have no seconds/],
    ['0 4 * *', /five fields/],
    ['@daily', /five fields.*'0 4 \* \* 1-5'/],
    ['', /five fields/],
    ['0 25 * * *', /crontab\.hour: expected a number from 0 to 23/],
  ])('refuses %s', (text, message) => {
    expect(refusal(() => parseCrontabText(text)).message).toMatch(message);
  });
});
