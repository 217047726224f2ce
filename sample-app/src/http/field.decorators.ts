import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsInt, IsISO8601, IsPositive, IsString, Length, Matches, Max, ValidateBy, ValidateIf } from 'class-validator';
import type { ZodType } from 'zod';

/** Text that every database can keep: without NUL, which PostgreSQL refuses, and without halves of characters. */
export function Text(min: number, max: number): PropertyDecorator {
  return applyDecorators(
    IsString(),
    Length(min, max),
    Matches(/^[^\0\ud800-\udfff]*$/u, { message: '$property must not contain NUL or half a character' }),
    ...(min > 0 ? [Matches(/\S/, { message: '$property must not be blank' })] : []),
  );
}

/** Of the years 1 to 9999 in UTC, as messages carry them; an offset may lead beyond. */
const FIRST_INSTANT = Date.parse('0001-01-01T00:00:00Z');
const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z');

/** An instant as ISO text; with its offset, because a server's own time zone is nobody's business. */
export function Instant(): PropertyDecorator {
  const form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/;
  const message = '$property must be an instant such as 2030-01-31T09:00:00Z or 2030-01-31T10:00:00+01:00';
  const within = ValidateBy({
    name: 'within',
    validator: {
      validate: (value: unknown) => {
        const instant = Date.parse(String(value));
        // What is no instant at all is told by the other rules.
        return Number.isNaN(instant) || (instant >= FIRST_INSTANT && instant <= LAST_INSTANT);
      },
      defaultMessage: () => '$property must be an instant of the years 1 to 9999 in UTC',
    },
  });
  return applyDecorators(IsISO8601({ strict: true }, { message }), Matches(form, { message }), within);
}

/** A day of the calendar, such as `2030-01-31`. */
export function Day(): PropertyDecorator {
  const message = '$property must be a day such as 2030-01-31';
  return applyDecorators(IsISO8601({ strict: true }, { message }), Matches(/^\d{4}-\d{2}-\d{2}$/, { message }));
}

/** Not before another property of the same kind; both as text that sorts by time. */
export function NotBefore(other: string): PropertyDecorator {
  return ValidateBy({
    name: 'notBefore',
    validator: {
      validate: (value: unknown, context) => {
        const { [other]: start } = (context?.object ?? {}) as Readonly<Record<string, unknown>>;
        // What is no text at all is told by the property's own rule.
        return typeof value !== 'string' || typeof start !== 'string' || value >= start;
      },
      defaultMessage: () => `$property must not be before ${other}`,
    },
  });
}

/** What a task's own schema will accept, so that request and task never disagree. */
export function Fits(schema: ZodType): PropertyDecorator {
  return ValidateBy({
    name: 'fits',
    validator: {
      validate: (value: unknown) => schema.safeParse(value).success,
      defaultMessage: (context) => {
        const { error } = schema.safeParse(context?.value);
        return `$property: ${error?.issues.map((issue) => issue.message).join(', ') ?? ''}`;
      },
    },
  });
}

/** The number of a row, as this API gives them out. */
export function RowId(): PropertyDecorator {
  return applyDecorators(IsInt(), IsPositive(), Max(999_999_999_999_999));
}

/** Left out where it is empty, as the fields of a form are that nobody has filled in: `?state=&name=x`. */
export function EmptyIsLeftOut(): PropertyDecorator {
  // The value may be a number by now, which empty text becomes as well.
  return Transform(({ obj, key, value }: { obj: Readonly<Record<string, unknown>>; key: string; value: unknown }) =>
    obj[key] === '' ? undefined : value,
  );
}

/** May be left out, but not null. */
export function MayBeLeftOut(): PropertyDecorator {
  return ValidateIf((_object, value) => value !== undefined);
}
