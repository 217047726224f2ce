import { ApiProperty } from '@nestjs/swagger';

/** The answer of every endpoint that starts work in the background. */
export class TaskAccepted {
  @ApiProperty({ description: 'Ask for it at GET /tasks/:id' })
  taskId: string;
}
