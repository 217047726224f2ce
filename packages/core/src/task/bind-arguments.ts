import type { StandardSchemaV1 } from '@standard-schema/spec';
import { UsageError } from '../errors/errors.js';
import type { TaskDefinition } from './task-definition.js';

/** Arguments as they stand in a message. */
export interface CallArguments {
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
}

/**
 * Puts keyword arguments in their places by the declared parameter names, and checks that none is too many and every
 * argument that has a schema. What would be lost without a word is refused: a caller of another version may give it, or
 * a link that puts a result before the arguments. The one rule of client, worker and stored schedules. A promise only
 * where a schema is asynchronous. Throws TASK_ARGUMENTS_INVALID, which is never retried.
 */
export function bindArguments(definition: TaskDefinition, call: CallArguments): unknown[] | Promise<unknown[]> {
  const args = placeKeywords(definition, call);
  return definition.schemas.length === 0 ? args : checkSchemas(definition, args);
}

function placeKeywords(definition: TaskDefinition, { args, kwargs }: CallArguments): unknown[] {
  const { maxArguments: most } = definition;
  if (most !== undefined && args.length > most) {
    const what = `takes ${most} argument${most === 1 ? '' : 's'} and got ${args.length}`;
    throw invalid(definition, what, 'args', ['Give it the parameter, or use an immutable signature (si) in a link.']);
  }
  const placed = [...args];
  for (const key of Object.keys(kwargs)) {
    const index = definition.params.indexOf(key);
    if (index < 0) {
      throw invalid(definition, `has no parameter "${key}"`, `kwargs.${key}`, [
        definition.params.length === 0
          ? 'Declare the names with `params: [...]` so that keyword arguments can be used.'
          : `Its parameters are: ${definition.params.join(', ')}.`,
      ]);
    }
    if (index < args.length) throw invalid(definition, `got parameter "${key}" twice`, `kwargs.${key}`, []);
    placed[index] = kwargs[key];
  }
  for (let index = 0; index < placed.length; index += 1) if (!(index in placed)) placed[index] = undefined;
  return placed;
}

function checkSchemas(definition: TaskDefinition, args: unknown[]): unknown[] | Promise<unknown[]> {
  const pending: Promise<void>[] = [];
  definition.schemas.forEach((schema, index) => {
    const result = schema['~standard'].validate(args[index]);
    const take = (checked: StandardSchemaV1.Result<unknown>): void => {
      if (checked.issues !== undefined) throw schemaError(definition, index, checked.issues);
      args[index] = checked.value;
    };
    if (result instanceof Promise) pending.push(result.then(take));
    else take(result);
  });
  return pending.length === 0 ? args : Promise.all(pending).then(() => args);
}

function schemaError(definition: TaskDefinition, index: number, issues: readonly StandardSchemaV1.Issue[]): UsageError {
  const name = definition.params[index] ?? `args[${index}]`;
  const details = issues.map((issue) => ({ path: issuePath(name, issue), message: issue.message }));
  const text = details.map((detail) => `${detail.path}: ${detail.message}`).join('; ');
  return new UsageError({
    code: 'TASK_ARGUMENTS_INVALID',
    message: `The arguments of task "${definition.name}" do not fit its schema: ${text}.`,
    fields: { field: details[0]?.path ?? name, issues: details, task: definition.name },
  });
}

function issuePath(name: string, issue: StandardSchemaV1.Issue): string {
  const keys = (issue.path ?? []).map((key) => (typeof key === 'object' ? String(key.key) : String(key)));
  return [name, ...keys].join('.');
}

function invalid(definition: TaskDefinition, what: string, field: string, remedies: string[]): UsageError {
  return new UsageError({
    code: 'TASK_ARGUMENTS_INVALID',
    message: `Task "${definition.name}" ${what}.`,
    ...(remedies[0] === undefined ? {} : { remedy: remedies[0] }),
    fields: { field, task: definition.name },
  });
}
