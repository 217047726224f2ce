/** Injection token of the module's options. */
export const TASK_QUEUE_OPTIONS = Symbol('TASK_QUEUE_OPTIONS');

/** Metadata keys. Fixed strings, so that two copies of the package understand each other. */
export const TASK_METADATA = 'taskqueue:task';
export const TASK_HOST_METADATA = 'taskqueue:host';
export const TASK_SCHEDULES_METADATA = 'taskqueue:schedules';
export const TASK_ARGUMENTS_METADATA = 'taskqueue:arguments';
export const EVENT_LISTENER_METADATA = 'taskqueue:listeners';
export const TASK_ADOPTED_METADATA = 'taskqueue:adopted';

/** `ExecutionContext.getType()` of a task run. */
export const TASK_CONTEXT_TYPE = 'task';
