import { isRecord } from '../message/wire-fields.js';
import type { EncodedMessage } from '../message/encoded-message.js';
import { bodyBytes } from '../message/encoded-message.js';
import type { Channel, Publication } from '../ports/channel.js';

/** Where Celery's workers hear commands. */
export const COMMANDS: Channel = { exchange: 'celery.pidbox', kind: 'fanout', key: '' };

/** A command to workers, as Celery's remote control ("pidbox") gives it. */
export interface Command {
  /** Its name: `ping`, `active`, `shutdown` … */
  readonly method: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Names of the workers that it is for. Default: all. */
  readonly destination?: readonly string[] | undefined;
  /** Or a pattern of their names. */
  readonly pattern?: string | undefined;
  /** `glob` (default): `*`, `?` and `[abc]`, as in a shell. `pcre`: a regular expression. */
  readonly matcher?: string | undefined;
  /** Where answers go, and by what they are told from answers to other commands. */
  readonly replyTo?: ReplyAddress | undefined;
  readonly ticket?: string | undefined;
}

export interface ReplyAddress {
  readonly exchange: string;
  readonly key: string;
}

/** What one worker answers. */
export interface Reply {
  readonly worker: string;
  readonly value: unknown;
  readonly ticket: string | undefined;
}

/** `expiresAt`: workers that hear it later pass it over; epoch milliseconds by the sender's clock. `headers`: more of them. */
export function writeCommand(
  command: Command,
  {
    expiresAt,
    headers = {},
  }: { readonly expiresAt?: number; readonly headers?: Readonly<Record<string, unknown>> } = {},
): Publication {
  const { method, destination = null, pattern = null, matcher = null, replyTo, ticket } = command;
  const body = {
    method,
    arguments: command.arguments,
    destination,
    pattern,
    matcher,
    ...(ticket === undefined ? {} : { ticket }),
    ...(replyTo === undefined ? {} : { reply_to: { exchange: replyTo.exchange, routing_key: replyTo.key } }),
  };
  const expires = expiresAt === undefined ? 0 : expiresAt / 1_000;
  return { channel: COMMANDS, message: jsonMessage(body, { clock: 0, expires, ...headers }) };
}

/** Undefined for what has expired and for what cannot be read: anybody may say anything on the channel. */
export function readCommand(message: EncodedMessage, now: number): Command | undefined {
  const { expires } = message.headers;
  if (typeof expires === 'number' && expires > 0 && expires * 1_000 < now) return undefined;
  const body = jsonBody(message);
  if (body === undefined || typeof body['method'] !== 'string') return undefined;
  const { destination, pattern, matcher, ticket } = body;
  const address = body['reply_to'];
  const replyTo =
    isRecord(address) && typeof address['exchange'] === 'string' && typeof address['routing_key'] === 'string'
      ? { exchange: address['exchange'], key: address['routing_key'] }
      : undefined;
  return {
    method: body['method'],
    arguments: isRecord(body['arguments']) ? body['arguments'] : {},
    destination: Array.isArray(destination) ? destination.map(String) : undefined,
    pattern: textOf(pattern),
    matcher: textOf(matcher),
    ticket: textOf(ticket),
    replyTo,
  };
}

/** Is the command for this worker? */
export function isAddressedTo({ destination, pattern, matcher }: Command, worker: string): boolean {
  if (destination !== undefined && !destination.includes(worker)) return false;
  if (pattern === undefined) return true;
  const expression = matcher === 'pcre' ? pattern : globExpression(pattern);
  try {
    return new RegExp(matcher === 'pcre' ? `^(?:${expression})` : `^${expression}$`, 's').test(worker);
  } catch {
    return false;
  }
}

/** `clock`: of the worker's logical clock. */
export function writeReply(address: ReplyAddress, { worker, value, ticket }: Reply, clock = 0): Publication {
  const headers = { ...(ticket === undefined ? {} : { ticket }), clock };
  const channel: Channel = { exchange: address.exchange, kind: 'direct', key: address.key };
  return { channel, message: jsonMessage({ [worker]: value }, headers) };
}

/** One for each worker that the message speaks for; none for what cannot be read. */
export function readReplies(message: EncodedMessage): readonly Reply[] {
  const ticket = textOf(message.headers['ticket']);
  return Object.entries(jsonBody(message) ?? {}).map(([worker, value]) => ({ worker, value, ticket }));
}

function jsonMessage(body: unknown, headers: Readonly<Record<string, unknown>>): EncodedMessage {
  return {
    headers: { ...headers },
    properties: { delivery_mode: 1, priority: 0 },
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    body: new TextEncoder().encode(JSON.stringify(body)),
  };
}

function jsonBody({ contentType, body }: EncodedMessage): Readonly<Record<string, unknown>> | undefined {
  if (contentType !== 'application/json') return undefined;
  try {
    const value: unknown = JSON.parse(bodyBytes(body).toString('utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** As Python's fnmatch understands it. */
function globExpression(pattern: string): string {
  return pattern.replaceAll(
    /\[(!?)([^\]]+)\]|[\s\S]/g,
    (part: string, not: string | undefined, set: string | undefined) => {
      if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replaceAll(/[\\^]/g, String.raw`\$&`)}]`;
      if (part === '*') return '.*';
      if (part === '?') return '.';
      return part.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
    },
  );
}
