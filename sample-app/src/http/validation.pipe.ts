import type { ArgumentMetadata } from '@nestjs/common';
import { ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import type { FieldError } from './field-error.js';
import { InvalidFields } from './field-error.js';

/** Deeper than any request has a reason to be, and far from where recursion ends. */
const DEEPEST = 100;

/** Checks requests against their DTOs; unknown fields are errors, as they are typing mistakes. */
export class RequestPipe extends ValidationPipe {
  constructor() {
    super({
      whitelist: true,
      forbidNonWhitelisted: true,
      transform: true,
      exceptionFactory: (errors) => new InvalidFields(errors.flatMap((error) => fieldErrors(error, ''))),
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'body') refuseDepth(value);
    return super.transform(value, metadata);
  }

  /** Numbers in a path stay text: each has a pipe of its own, which should see what was asked for. */
  protected override transformPrimitive(value: unknown): unknown {
    return value;
  }
}

function fieldErrors({ property, constraints, children }: ValidationError, path: string): FieldError[] {
  const field = `${path}${property}`;
  const own = Object.values(constraints ?? {}).map((message) => ({ field, message }));
  return [...own, ...(children ?? []).flatMap((child) => fieldErrors(child, `${field}.`))];
}

/** What looks at the body afterwards is recursive. */
function refuseDepth(body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  for (const [field, content] of Object.entries(body)) {
    let level: unknown[] = [content];
    for (let depth = 1; level.length > 0; depth += 1) {
      if (depth > DEEPEST) {
        throw new InvalidFields([{ field, message: `${field} must not be nested deeper than ${DEEPEST} levels` }]);
      }
      level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []));
    }
  }
}
