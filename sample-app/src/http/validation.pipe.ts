import { ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import type { FieldError } from './field-error.js';
import { InvalidFields } from './field-error.js';

/** Checks requests against their DTOs; unknown fields are errors, as they are typing mistakes. */
export function validationPipe(): ValidationPipe {
  return new ValidationPipe({
    whitelist: true,
    forbidNonWhitelisted: true,
    transform: true,
    exceptionFactory: (errors) => new InvalidFields(errors.flatMap((error) => fieldErrors(error, ''))),
  });
}

function fieldErrors({ property, constraints, children }: ValidationError, path: string): FieldError[] {
  const field = `${path}${property}`;
  const own = Object.values(constraints ?? {}).map((message) => ({ field, message }));
  return [...own, ...(children ?? []).flatMap((child) => fieldErrors(child, `${field}.`))];
}
