import { type ConfigurationProblem, UsageError, showValue } from '../errors/errors.js';

/**
 * A UsageError with code `SCHEDULE_INVALID` for what is wrong with a schedule. The message names every field, its value
 * and the remedy; `fields.problems` has them as data, and `fields.field` and `fields.value` are those of the first.
 */
export function scheduleInvalid(problems: readonly ConfigurationProblem[]): UsageError {
  const [first] = problems;
  return new UsageError({
    code: 'SCHEDULE_INVALID',
    message: problems.map(describe).join('\n'),
    fields: { field: first?.path, value: first?.value, problems },
  });
}

function describe(problem: ConfigurationProblem): string {
  const remedy = problem.remedy === undefined ? '' : ` ${problem.remedy}`;
  return `${problem.path}: expected ${problem.expected}, got ${showValue(problem.value)}.${remedy}`;
}
