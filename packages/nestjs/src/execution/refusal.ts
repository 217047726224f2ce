import { HttpException } from '@nestjs/common';
import { Reject, UsageError } from '@taskqueue/core';

/** What a guard or a pipe says no to is not retried: it would say so again. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403, 422]);

/** Refusals of what was given, rather than of who asks. */
const BAD_INPUT: ReadonlySet<number> = new Set([400, 422]);

/**
 * An HttpException with the status 400, 401, 403 or 422, thrown anywhere in the run, is a refusal: the message goes to
 * the dead letters, and the failure in the record names the fields that a validation complained of. Anything else is
 * returned as it is.
 */
export function asRefusal(error: unknown): unknown {
  if (!(error instanceof HttpException) || !REFUSALS.has(error.getStatus())) return error;
  const issues = issuesOf(error);
  const message = issues.join('; ');
  const code = BAD_INPUT.has(error.getStatus()) ? 'TASK_ARGUMENTS_INVALID' : 'TASK_REJECTED';
  const cause = new UsageError({ code, message, fields: { issues, status: error.getStatus() }, cause: error });
  return new Reject(message, { cause });
}

function issuesOf(error: HttpException): readonly string[] {
  const response = error.getResponse();
  const message = typeof response === 'object' ? (response as { message?: unknown }).message : response;
  return (Array.isArray(message) ? message : [message ?? error.message]).map(issueText);
}

/** Text, or an issue of a schema with its path. */
function issueText(issue: unknown): string {
  if (typeof issue !== 'object' || issue === null) return String(issue);
  const { path, message } = issue as { readonly path?: readonly unknown[]; readonly message?: unknown };
  const text = typeof message === 'string' ? message : JSON.stringify(issue);
  return path === undefined || path.length === 0 ? text : `${path.map(keyText).join('.')}: ${text}`;
}

function keyText(key: unknown): string {
  return typeof key === 'object' && key !== null && 'key' in key ? String(key.key) : String(key);
}
