/**
 * The closed list of error codes. A code is never reused and never changes its meaning; each has an entry in the
 * error reference of the documentation, and a test compares the two sets in both directions.
 */
export const ERROR_CODES = [
  // Configuration
  'CONFIGURATION_INVALID',
  // Usage: the caller asked for something that cannot be
  'TASK_UNKNOWN',
  'TASK_DUPLICATE',
  'TASK_ARGUMENTS_INVALID',
  'TASK_OPTIONS_INVALID',
  'COMMAND_INVALID',
  'VALUE_NOT_SERIALIZABLE',
  'RESULTS_REQUIRED',
  'QUEUE_NAME_INVALID',
  'SCHEDULE_INVALID',
  'STATE_INVALID',
  'EVENT_TYPE_UNKNOWN',
  'DRIVER_MISSING',
  'CHILD_BOOT_FAILED',
  // Broker
  'BROKER_UNAVAILABLE',
  'PUBLISH_FAILED',
  'QUEUE_MISMATCH',
  'LEASE_LOST',
  'MESSAGE_TOO_LARGE',
  'CAPABILITY_UNSUPPORTED',
  // Messages
  'DECODE_FAILED',
  'CONTENT_NOT_ACCEPTED',
  'PROTOCOL_UNKNOWN',
  // Results
  'RESULT_TIMEOUT',
  'RESULT_UNAVAILABLE',
  // What a caller sees of a task that did not succeed
  'TASK_FAILED',
  'TASK_REVOKED',
  'TASK_EXPIRED',
  'TASK_REJECTED',
  'TIME_LIMIT_EXCEEDED',
  'SOFT_TIME_LIMIT_EXCEEDED',
  'WORKER_LOST',
] as const;

/** Codes of errors; the reference of errors describes each. */
export type ErrorCode = (typeof ERROR_CODES)[number];
