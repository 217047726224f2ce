import { randomUUID } from 'node:crypto';
import type { OutgoingMessage } from '@taskqueue/core';

export function outgoing(queue: string, overrides: Partial<OutgoingMessage> = {}): OutgoingMessage {
  const id = overrides.id ?? randomUUID();
  return {
    id,
    task: 'test.task',
    queue,
    priority: 0,
    message: {
      headers: { id, task: 'test.task', lang: 'js' },
      properties: { correlation_id: id },
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      body: new TextEncoder().encode('[[], {}, {}]'),
    },
    ...overrides,
  };
}
