/**
 * The six methods we call; Nest's `LoggerService` and most loggers fit as they are. The last argument is the context
 * ("TaskQueue", "Worker", …).
 */
export interface Logger {
  fatal(message: string, context: string): void;
  error(message: string, stack: string | undefined, context: string): void;
  warn(message: string, context: string): void;
  log(message: string, context: string): void;
  debug(message: string, context: string): void;
  verbose(message: string, context: string): void;
  /** The same logger, whose lines have these fields. Absent where lines are text only: then nobody makes any. */
  withFields?(fields: Readonly<Record<string, string | number>>): Logger;
}

/** Says nothing. */
export const silentLogger: Logger = {
  fatal() {},
  error() {},
  warn() {},
  log() {},
  debug() {},
  verbose() {},
};
