import { cannotBeSent } from '@taskqueue/core';

/**
 * Headers as the client is to write them: whole numbers in 32 or 64 bits. Left to itself it writes those from 128 to 32767 in
 * the 16 bits that the tag `s` has for RabbitMQ. To Python's client the same tag is a text: it reads on in the wrong place and
 * loses its connection. Negative ones of 8 and of 64 bits are positive to it. Throws UsageError for numbers that are not finite: RabbitMQ
 * closes the connection over them, and what others were sending by it is in doubt.
 */
export function amqpTable(headers: Readonly<Record<string, unknown>>, level = 0): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, field(value, level)]));
}

/** What lies deeper, or in a circle, is left to the client, which refuses it. */
const MOST_LEVELS = 100;

function field(value: unknown, level: number): unknown {
  if (typeof value === 'number') return numberField(value);
  if (typeof value !== 'object' || value === null || level > MOST_LEVELS) return value;
  if (Array.isArray(value)) return value.map((one) => field(one, level + 1));
  // Bytes, and what says its own type, as the client reads it.
  if (ArrayBuffer.isView(value)) return value;
  if ('!' in value) return typedField(value);
  return amqpTable(value as Readonly<Record<string, unknown>>, level + 1);
}

function numberField(value: number): unknown {
  checkFinite(value);
  if (Number.isSafeInteger(value)) return { '!': tagOf(value), value };
  // The client takes for whole, and for one of 64 bits, whatever is large and negative, or large and has a fraction.
  return Number.isInteger(value) && Math.abs(value) <= 2 ** 63 ? value : { '!': 'double', value };
}

function typedField(field: object): unknown {
  const { value } = field as { readonly value?: unknown };
  if (typeof value === 'number') checkFinite(value);
  return field;
}

function checkFinite(value: number): void {
  if (!Number.isFinite(value)) throw cannotBeSent('headers', value, 'finite numbers only');
}

function tagOf(value: number): 'int32' | 'int64' | 'double' {
  if (value === (value | 0)) return 'int32';
  return value > 0 ? 'int64' : 'double';
}
