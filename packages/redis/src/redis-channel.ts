import type { Channel } from '@taskqueue/core';
import type { RedisKeys } from './redis-keys.js';

/** By which name of Redis a channel is listened to: a channel, or a pattern; Kombu's own wherever it has one. */
export function channelName(
  channel: Channel,
  { keys, database }: { readonly keys: RedisKeys; readonly database: number },
): string {
  const { kind, exchange, key } = channel;
  if (kind === 'fanout') return keys.channel(database, exchange, '');
  if (!isPattern(channel)) return keys.channel(database, exchange, key);
  return `${escaped(keys.channel(database, exchange, ''))}/${globOf(key)}`;
}

/** Is it a `topic` to be listened to by pattern? */
export function isPattern({ kind, key }: Pick<Channel, 'kind' | 'key'>): boolean {
  return kind === 'topic' && key.split('.').some((word) => word === '*' || word === '#');
}

const ANY_WORDS = '\0';

/**
 * Redis' form of a pattern. Its `*` goes on across dots, so it lets more through than was asked for; what is too much is
 * sorted out here.
 */
function globOf(key: string): string {
  const words = key.split('.').map((word) => (word === '*' ? word : word === '#' ? ANY_WORDS : escaped(word)));
  // oxlint-disable-next-line no-control-regex -- it stands for itself only here
  return words.join('.').replaceAll(/\.?\0\.?/g, '*');
}

function escaped(text: string): string {
  return text.replaceAll(/[\\*?[\]]/g, String.raw`\$&`);
}
