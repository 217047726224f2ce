import { validateSync } from 'class-validator';
import { expect, it } from 'vitest';
import { Instant } from '../../src/http/field.decorators.js';

class Moment {
  @Instant()
  at: unknown;
}

const problems = (at: unknown): string[] =>
  validateSync(Object.assign(new Moment(), { at })).flatMap(({ constraints }) => Object.values(constraints ?? {}));

it.each(['2030-01-31T09:00:00Z', '2030-01-31T09:00+14:00', '9999-12-31T23:59:59.999Z', '1000-01-01T00:00:00+00:00'])(
  'takes %s for an instant',
  (at) => expect(problems(at)).toEqual([]),
);

it.each(['9999-12-31T23:59:59-00:01', '9999-12-31T12:00:00-23:59'])('refuses %s, which no message could carry', (at) =>
  expect(problems(at)).toEqual(['at must be an instant of the years 1 to 9999 in UTC']),
);

it.each(['2030-02-30T00:00:00Z', '2030-01-31T24:00:30Z', '2030-01-31', '2030-01-31T09:00:00', 1_900_000_000_000, null])(
  'refuses %s',
  (at) => expect(problems(at).join()).toContain('at must be an instant such as'),
);
