import { BadRequestException, ConflictException } from '@nestjs/common';

/** What is wrong with one field of a request, e.g. `crontab.hour`. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** 400; its body names every wrong field, and the first one in `field`. */
export class InvalidFields extends BadRequestException {
  constructor(errors: readonly FieldError[]) {
    super({ statusCode: 400, ...bodyOf(errors) });
  }
}

/** 409: the value is taken, or the thing is in use. */
export class FieldConflict extends ConflictException {
  constructor(error: FieldError) {
    super({ statusCode: 409, ...bodyOf([error]) });
  }
}

/** Throws {@link InvalidFields} if there is anything wrong. */
export function refuse(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw new InvalidFields(errors);
}

function bodyOf(errors: readonly FieldError[]): Record<string, unknown> {
  const message = errors.map((error) => `${error.field}: ${error.message}`).join('; ');
  return { message, field: errors[0]?.field, errors };
}
