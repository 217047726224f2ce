import type { ArgumentMetadata } from '@nestjs/common';
import { ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import type { FieldError } from './field-error.js';
import { InvalidFields, refuse } from './field-error.js';

/** Deeper than any request has a reason to be, and far from where recursion ends. */
const DEEPEST = 100;

/** As in messages: no payload may carry them. */
const RESERVED: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

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
    if (metadata.type === 'body') refuseUnsafe(value);
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

/** What looks at the body afterwards is recursive, and leaves out names that would reach a prototype without a word. */
function refuseUnsafe(body: unknown): void {
  for (const top of contents('', body)) {
    let level = [top];
    for (let depth = 1; level.length > 0; depth += 1) {
      if (depth > DEEPEST) {
        throw new InvalidFields([
          { field: top.path, message: `${top.path} must not be nested deeper than ${DEEPEST} levels` },
        ]);
      }
      refuse(level.filter(({ name }) => RESERVED.has(name)).map(reservedName));
      level = level.flatMap(({ path, content }) => contents(`${path}.`, content));
    }
  }
}

interface Content {
  readonly path: string;
  readonly name: string;
  readonly content: unknown;
}

function contents(prefix: string, value: unknown): Content[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).map(([name, content]) => ({ path: `${prefix}${name}`, name, content }));
}

function reservedName({ path, name }: Content): FieldError {
  return { field: path, message: `${name} cannot be the name of a field; choose another one` };
}
