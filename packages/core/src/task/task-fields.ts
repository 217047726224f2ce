/** What a log line says of a task, for loggers that write records. */
export type TaskFields = Readonly<Record<string, string | number>>;

export interface TaskOfLine {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  /** The message's own headers; with a `traceparent` the line belongs to that trace. */
  readonly headers: Readonly<Record<string, unknown>> | undefined;
}

export function taskFields({ id, name, queue, attempt, headers }: TaskOfLine): TaskFields {
  const traceId = traceIdOf(headers?.['traceparent']);
  return { taskId: id, task: name, queue, attempt, ...(traceId === undefined ? {} : { traceId }) };
}

/** From version, trace, parent and flags (https://www.w3.org/TR/trace-context/#traceparent-header). */
function traceIdOf(traceparent: unknown): string | undefined {
  return typeof traceparent === 'string' ? /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(traceparent)?.[1] : undefined;
}
