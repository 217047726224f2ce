import type { EncodedMessage } from '../message/encoded-message.js';

/**
 * Where something is said, in AMQP's terms, because Celery's events and remote control are exchanges there, and channels
 * and lists on Redis that are named after the same exchanges:
 *
 * | what | exchange | kind | key | on Redis, database 0 |
 * | --- | --- | --- | --- | --- |
 * | events | `celeryev` | `topic` | `worker.heartbeat` | channel `/0.celeryev/worker.heartbeat` |
 * | commands | `celery.pidbox` | `fanout` | empty | channel `/0.celery.pidbox` |
 * | replies | `reply.celery.pidbox` | `direct` | who asked | list `<key>.reply.celery.pidbox` |
 *
 * - `fanout`: everybody who listens to the exchange hears it.
 * - `topic`: those hear it whose pattern fits the key.
 * - `direct`: the one who listens to exactly that key hears it. Only one should: among several it may go to any.
 */
export interface Channel {
  readonly exchange: string;
  readonly kind: 'fanout' | 'topic' | 'direct';
  /**
   * Words divided by dots, at least one; empty for `fanout`. To listen to a `topic`, a pattern: `*` stands for one word, `#` for any number of words,
   * also none.
   */
  readonly key: string;
}

/** Something said on a channel. A message as brokers carry it, since Celery's headers and content type matter here too. */
export interface Publication {
  readonly channel: Channel;
  readonly message: EncodedMessage;
}

/** Does one who listens to `listened` hear what is said on `channel`? */
export function hears(listened: Channel, channel: Channel): boolean {
  if (listened.exchange !== channel.exchange || listened.kind !== channel.kind) return false;
  if (channel.kind === 'fanout') return true;
  if (channel.kind === 'direct') return listened.key === channel.key;
  return fits(words(listened.key), words(channel.key));
}

function words(key: string): readonly string[] {
  return key === '' ? [] : key.split('.');
}

function fits(pattern: readonly string[], key: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return key.length === 0;
  if (first === '#') return fits(rest, key) || (key.length > 0 && fits(pattern, key.slice(1)));
  return key.length > 0 && (first === '*' || first === key[0]) && fits(rest, key.slice(1));
}
