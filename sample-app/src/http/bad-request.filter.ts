import type { ArgumentsHost } from '@nestjs/common';
import { BadRequestException, Catch, ServiceUnavailableException } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import { isTaskQueueError } from '@taskqueue/nestjs';
import { InvalidFields } from './field-error.js';

/**
 * Gives every 400 the same body: those of the body parser and of file uploads, and refusals of the task queue. A queue
 * that cannot be reached is a 503: the same request may succeed later.
 */
@Catch()
export class BadRequestFilter extends BaseExceptionFilter {
  override catch(exception: unknown, host: ArgumentsHost): void {
    super.catch(badRequest(exception) ?? unavailable(exception) ?? exception, host);
  }
}

function badRequest(exception: unknown): InvalidFields | undefined {
  if (exception instanceof InvalidFields) return exception;
  if (exception instanceof BadRequestException) {
    return new InvalidFields([{ field: fieldOf(exception), message: exception.message }]);
  }
  // What the caller of the queue did wrong is here what the caller of the API did wrong.
  if (!isTaskQueueError(exception) || exception.retryable) return undefined;
  const { field } = exception.fields;
  return typeof field === 'string' ? new InvalidFields([{ field, message: exception.message }]) : undefined;
}

function unavailable(exception: unknown): ServiceUnavailableException | undefined {
  if (!isTaskQueueError(exception) || !exception.retryable) return undefined;
  return new ServiceUnavailableException('The task queue cannot be reached at the moment.', { cause: exception });
}

/** Uploads say `Unexpected file field - picture`; all else without a field is a URL or a body that cannot be read. */
function fieldOf(exception: BadRequestException): string {
  if (exception.message.startsWith('Failed to decode param')) return 'url';
  return /^Unexpected (?:file )?field - (.+)$/.exec(exception.message)?.[1] ?? 'body';
}
