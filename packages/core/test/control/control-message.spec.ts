import { describe, expect, it } from 'vitest';
import {
  isAddressedTo,
  readCommand,
  readReplies,
  writeCommand,
  writeReply,
} from '../../src/control/control-message.js';

const command = { method: 'ping', arguments: {} };

describe('a command', () => {
  it('is written as Celery does, and read as it was written', () => {
    const full = {
      method: 'pool_grow',
      arguments: { n: 2 },
      destination: ['a@host'],
      pattern: 'a@*',
      matcher: 'glob',
      ticket: 't',
      replyTo: { exchange: 'reply.celery.pidbox', key: 'k' },
    };
    const { channel, message } = writeCommand(full, { expiresAt: 5_000 });
    expect(channel).toEqual({ exchange: 'celery.pidbox', kind: 'fanout', key: '' });
    expect(message.headers).toEqual({ clock: 0, expires: 5 });
    expect(JSON.parse(new TextDecoder().decode(message.body as Uint8Array))).toMatchObject({
      reply_to: { exchange: 'reply.celery.pidbox', routing_key: 'k' },
    });
    expect(readCommand(message, 4_999)).toEqual(full);
    expect(readCommand(message, 5_001)).toBeUndefined();
  });

  it('that cannot be read is none', () => {
    const { message } = writeCommand(command);
    for (const body of ['', '[]', 'null', '{"method":1}', '{']) {
      expect(readCommand({ ...message, body }, 0)).toBeUndefined();
    }
    expect(readCommand({ ...message, contentType: 'application/x-python-serialize' }, 0)).toBeUndefined();
  });

  it.each([
    [{}, true],
    [{ destination: ['w@host', 'x@host'] }, true],
    [{ destination: ['x@host'] }, false],
    [{ pattern: 'w@*' }, true],
    [{ pattern: 'w@h?st' }, true],
    [{ pattern: '[vw]@host' }, true],
    [{ pattern: '[!w]@host' }, false],
    [{ pattern: 'w@' }, false],
    [{ pattern: 'w.host' }, false],
    [{ pattern: 'w@h', matcher: 'pcre' }, true],
    [{ pattern: '^x', matcher: 'pcre' }, false],
    [{ pattern: '(', matcher: 'pcre' }, false],
    [{ destination: ['w@host'], pattern: 'x*' }, false],
  ])('for %j is for w@host: %s', (target, expected) => {
    expect(isAddressedTo({ ...command, ...target }, 'w@host')).toBe(expected);
  });

  it('is answered under the name of the worker, and by its ticket', () => {
    const { channel, message } = writeReply(
      { exchange: 'r', key: 'k' },
      { worker: 'w', value: { ok: 1 }, ticket: 't' },
    );
    expect(channel).toEqual({ exchange: 'r', kind: 'direct', key: 'k' });
    expect(readReplies(message)).toEqual([{ worker: 'w', value: { ok: 1 }, ticket: 't' }]);
    expect(readReplies({ ...message, body: '7' })).toEqual([]);
  });
});
