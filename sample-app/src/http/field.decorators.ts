import { applyDecorators } from '@nestjs/common';
import { IsISO8601, IsString, Length, Matches, ValidateIf } from 'class-validator';

/** Text that every database can keep: PostgreSQL has no place for the character NUL. */
export function Text(min: number, max: number): PropertyDecorator {
  return applyDecorators(
    IsString(),
    Length(min, max),
    Matches(/^[^\0]*$/, { message: '$property must not contain NUL' }),
  );
}

/** An instant as ISO text; with its offset, because a server's own time zone is nobody's business. */
export function Instant(): PropertyDecorator {
  const form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/;
  const message = '$property must be an instant such as 2030-01-31T09:00:00Z or 2030-01-31T10:00:00+01:00';
  return applyDecorators(IsISO8601({ strict: true }, { message }), Matches(form, { message }));
}

/** May be left out, but not null. */
export function MayBeLeftOut(): PropertyDecorator {
  return ValidateIf((_object, value) => value !== undefined);
}
