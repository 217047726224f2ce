import { Logger as NestLogger } from '@nestjs/common';
import type { Logger } from '@taskqueue/core';

/** Nest's logger as ours. With `fields` lines may have some, which Nest takes for parameters. */
export function nestLogger({ fields }: { readonly fields: boolean }): Logger {
  return fields ? { ...TEXT, withFields } : TEXT;
}

const TEXT: Logger = {
  fatal: (message, context) => NestLogger.fatal(message, context),
  error: (message, stack, context) => NestLogger.error(message, stack, context),
  warn: (message, context) => NestLogger.warn(message, context),
  log: (message, context) => NestLogger.log(message, context),
  debug: (message, context) => NestLogger.debug(message, context),
  verbose: (message, context) => NestLogger.verbose(message, context),
};

function withFields(fields: Readonly<Record<string, string | number>>): Logger {
  return {
    fatal: (message, context) => NestLogger.fatal(message, fields, context),
    error: (message, stack, context) => NestLogger.error(message, fields, stack, context),
    warn: (message, context) => NestLogger.warn(message, fields, context),
    log: (message, context) => NestLogger.log(message, fields, context),
    debug: (message, context) => NestLogger.debug(message, fields, context),
    verbose: (message, context) => NestLogger.verbose(message, fields, context),
  };
}
