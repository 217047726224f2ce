import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { EncodedValue, FailureRecord, ResultRecord, TaskQueueSettings, TaskState } from '@taskqueue/core';
import { decodeValue, serializersFrom, TASK_STATES } from '@taskqueue/core';

/** A task as the API shows it. Instants are ISO text; what is not known is null. */
export class TaskView {
  @ApiProperty()
  taskId: string;
  @ApiProperty()
  name: string;
  @ApiProperty({ enum: TASK_STATES })
  state: TaskState;
  @ApiPropertyOptional()
  result: unknown;
  @ApiPropertyOptional({ type: Object, nullable: true })
  error: FailureRecord | null;
  @ApiProperty()
  attempts: number;
  @ApiPropertyOptional()
  progress: unknown;
  @ApiProperty({ type: String, nullable: true })
  createdAt: string | null;
  @ApiProperty({ type: String, nullable: true })
  startedAt: string | null;
  @ApiProperty({ type: String, nullable: true })
  doneAt: string | null;
  @ApiProperty({ type: String, nullable: true })
  worker: string | null;
}

export function viewOf(record: ResultRecord, settings: TaskQueueSettings): TaskView {
  const serializers = serializersFrom(settings);
  const value = (encoded: EncodedValue | undefined): unknown =>
    encoded === undefined ? null : (decodeValue(serializers, encoded) ?? null);
  return {
    taskId: record.taskId,
    name: record.name,
    state: record.state,
    result: record.state === 'SUCCESS' ? value(record.result) : null,
    error: record.failure ?? null,
    attempts: record.attempts,
    progress: value(record.progress),
    createdAt: iso(record.createdAt),
    startedAt: iso(record.startedAt),
    doneAt: iso(record.doneAt),
    worker: record.worker ?? null,
  };
}

function iso(epochMs: number | undefined): string | null {
  return epochMs === undefined ? null : new Date(epochMs).toISOString();
}
