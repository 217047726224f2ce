import { createRequire } from 'node:module';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ConfigurationError } from '@taskqueue/core';

const require = createRequire(import.meta.url);

interface ValidationError {
  readonly property: string;
  readonly constraints?: Readonly<Record<string, string>>;
  readonly children?: readonly ValidationError[];
}

/** The few members of class-validator and class-transformer that are used; both are the user's, and optional. */
interface ClassValidator {
  validate(object: object, options: object): Promise<readonly ValidationError[]>;
}
interface ClassTransformer {
  plainToInstance(schemaClass: new () => object, plain: unknown): object;
}

/** A class-validator DTO class as a Standard Schema. Unknown properties are errors, as they are typing mistakes. */
export function dtoSchema(dto: new () => object): StandardSchemaV1 {
  const validator = load<ClassValidator>('class-validator', dto);
  const transformer = load<ClassTransformer>('class-transformer', dto);
  return {
    '~standard': {
      version: 1,
      vendor: 'class-validator',
      async validate(value) {
        if (typeof value !== 'object' || value === null || Array.isArray(value)) {
          return { issues: [{ message: `must be an object that fits ${dto.name}` }] };
        }
        const instance = transformer.plainToInstance(dto, value);
        const errors = await validator.validate(instance, { whitelist: true, forbidNonWhitelisted: true });
        return errors.length === 0 ? { value: instance } : { issues: errors.flatMap((error) => issues(error, [])) };
      },
    },
  };
}

function issues(error: ValidationError, path: readonly string[]): StandardSchemaV1.Issue[] {
  const here = [...path, error.property];
  const own = Object.values(error.constraints ?? {}).map((message) => ({ message, path: here }));
  return [...own, ...(error.children ?? []).flatMap((child) => issues(child, here))];
}

function load<T>(name: string, dto: new () => object): T {
  try {
    return require(name) as T;
  } catch (cause) {
    throw new ConfigurationError([
      {
        path: `schema ${dto.name}`,
        expected: `the package ${name}, to validate DTO classes`,
        value: String(cause),
        remedy: 'Install class-validator and class-transformer, or give a Standard Schema.',
      },
    ]);
  }
}
