import { describe, expect, it } from 'vitest';
import { BrokerError, isTaskQueueError, TaskError, UsageError } from '../../src/errors/errors.js';
import { errorFromNote, errorNote } from '../../src/pools/error-note.js';

const across = (error: unknown): Error => errorFromNote(structuredClone(errorNote(error)));

describe('an error on its way between a worker and a child', () => {
  it('that is one of ours is one of ours again', () => {
    const usage = across(new UsageError({ code: 'TASK_UNKNOWN', message: 'No.', remedy: 'Name another.' }));
    expect(usage).toBeInstanceOf(UsageError);
    expect(usage).toMatchObject({ code: 'TASK_UNKNOWN', message: 'No. Name another.', remedy: 'Name another.' });
    const broker = across(new BrokerError({ code: 'BROKER_UNAVAILABLE', message: 'Away.', retryable: true }));
    expect(broker).toMatchObject({ name: 'BrokerError', retryable: true, remedy: undefined });
    const task = across(new TaskError({ code: 'WORKER_LOST', message: 'Gone.' }, 'id', undefined));
    expect(task).toMatchObject({ name: 'TaskError', taskId: 'id' });
    expect(isTaskQueueError(task, 'WORKER_LOST')).toBe(true);
  });

  it('that is another one keeps its name, text, stack and cause', () => {
    const error = across(new RangeError('far', { cause: new Error('near') }));
    expect(error).toMatchObject({ name: 'RangeError', message: 'far', cause: { message: 'near' } });
    expect(error.stack).toContain('error-note.spec');
    expect(across('text').message).toBe('text');
  });
});
