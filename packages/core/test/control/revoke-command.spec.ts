import { describe, expect, it } from 'vitest';
import type { EncodedMessage } from '../../src/message/encoded-message.js';
import { readRevokeCommand, revokeCommand } from '../../src/control/revoke-command.js';

const reader = { worker: 'w@host', now: 1_000_000 };

/** As Celery 5.2 sends it; what is not given is null. */
function command(
  fields: Record<string, unknown>,
  headers: Record<string, unknown> = { clock: 82, expires: 0 },
): EncodedMessage {
  const whole = { method: 'revoke', destination: null, pattern: null, matcher: null, ...fields };
  const body = new TextEncoder().encode(JSON.stringify(whole));
  return { headers, properties: {}, contentType: 'application/json', contentEncoding: 'utf-8', body };
}

describe("Celery's command to revoke", () => {
  it('is read for one task and for several', () => {
    const one = { task_id: 'a', terminate: false, signal: 'SIGTERM' };
    expect(readRevokeCommand(command({ arguments: one }), reader)).toEqual({
      taskIds: ['a'],
      terminate: false,
      isStored: false,
    });
    const many = { task_id: ['a', 'b'], terminate: true, signal: 'SIGKILL' };
    expect(readRevokeCommand(command({ arguments: many }), reader)).toMatchObject({
      taskIds: ['a', 'b'],
      terminate: true,
    });
  });

  it('terminates where Python says so: Flower says 1', () => {
    const read = (method: string, given: object) =>
      readRevokeCommand(command({ method, arguments: given }), reader)?.terminate;
    for (const [terminate, meant] of [
      [1, true],
      [true, true],
      [0, false],
      [false, false],
      [null, false],
    ] as const) {
      expect(read('revoke', { task_id: 'a', terminate, signal: 'SIGTERM' })).toBe(meant);
      expect(read('revoke_by_stamped_headers', { headers: { of: 'x' }, terminate })).toBe(meant);
    }
  });

  it('that is for other workers, has expired, or is another command, is passed over', () => {
    const given = { arguments: { task_id: 'a' } };
    expect(readRevokeCommand(command({ ...given, destination: ['other@host'] }), reader)).toBeUndefined();
    expect(readRevokeCommand(command({ ...given, destination: ['w@host'] }), reader)).toBeDefined();
    expect(readRevokeCommand(command(given, { expires: 999.5 }), reader)).toBeUndefined();
    expect(readRevokeCommand(command(given, { expires: 1_000.5 }), reader)).toBeDefined();
    expect(readRevokeCommand(command({ ...given, method: 'ping' }), reader)).toBeUndefined();
    expect(readRevokeCommand(command({ arguments: { task_id: 7 } }), reader)).toBeUndefined();
    expect(readRevokeCommand({ ...command(given), body: Uint8Array.of(0xff) }, reader)).toBeUndefined();
  });

  it('is written as Celery writes it', () => {
    const { channel, message } = revokeCommand({ taskIds: ['a'], terminate: true, isStored: true });
    expect(channel).toEqual({ exchange: 'celery.pidbox', kind: 'fanout', key: '' });
    expect(JSON.parse(Buffer.from(message.body as Uint8Array).toString())).toEqual({
      method: 'revoke',
      arguments: { task_id: 'a', terminate: true, signal: 'SIGTERM' },
      destination: null,
      pattern: null,
      matcher: null,
    });
    expect(readRevokeCommand(message, reader)).toEqual({ taskIds: ['a'], terminate: true, isStored: true });
  });
});
