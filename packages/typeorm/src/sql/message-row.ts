import { isUtf8 } from 'node:buffer';
import type { EncodedMessage, MessageBody, OutgoingMessage } from '@taskqueue/core';
import { UsageError, bodyBytes, showValue } from '@taskqueue/core';
import type { RankedRow } from '../broker/exchange.js';
import type { BodyEncoding, NamedRow } from './envelope-text.js';
import { readEnvelope, writeEnvelope } from './envelope-text.js';
import type { Row } from './sql-store.js';
import { isStorable } from './text-table.js';

/** A message on its way into the table. Short names: they travel as JSON. */
export interface MessageColumns {
  readonly task_id: string;
  readonly task: string;
  readonly queue: string;
  /** 9 − priority, so that an ascending index hands out the urgent ones first. */
  readonly urgency: number;
  /** Epoch milliseconds; null: at once. */
  readonly due: number | null;
  /** From now by the store's clock; wins over `due`. */
  readonly delay: number | null;
  readonly envelope: string;
  readonly body: string;
}

/** Longest id and longest queue name the columns take. */
const LONGEST_NAME = 255;

/** Throws UsageError (PUBLISH_FAILED, QUEUE_NAME_INVALID) for a message that cannot be stored. */
export function messageColumns(outgoing: OutgoingMessage): MessageColumns {
  const { message } = outgoing;
  checkName('id', outgoing.id);
  checkName('queue', outgoing.queue);
  checkName('task', outgoing.task);
  const named = { task_id: outgoing.id, task: outgoing.task };
  const text = bodyText(message.body);
  return {
    task_id: outgoing.id,
    task: outgoing.task,
    queue: outgoing.queue,
    urgency: 9 - whole('priority', outgoing.priority, { from: 0, to: 9 }),
    due: outgoing.eta === undefined ? null : Math.ceil(finite('eta', outgoing.eta)),
    delay: outgoing.delayMs === undefined ? null : Math.ceil(finite('delayMs', outgoing.delayMs)),
    envelope: writeEnvelope(message, named, text.encoding),
    body: text.body,
  };
}

/** The message again, as it was published. */
export function encodedMessage(row: NamedRow & { readonly envelope: string; readonly body: string }): EncodedMessage {
  const { headers, properties, contentType, contentEncoding, bodyEncoding } = readEnvelope(row.envelope, row);
  const body = bodyEncoding === undefined ? row.body : Buffer.from(row.body, bodyEncoding);
  return { headers, properties, contentType, contentEncoding, body };
}

/** A row that a claim returned. */
export function rankedRow(row: Row): RankedRow {
  return {
    id: Number(row['id']),
    task_id: row['task_id'] as string,
    task: row['task'] as string,
    run: Number(row['run']),
    queue: row['queue'] as string,
    urgency: Number(row['urgency']),
    lostLeases: Number(row['lost_leases']),
    enqueuedAt: Number(row['enqueued_at']),
    envelope: row['envelope'] as string,
    body: row['body'] as string,
  };
}

/** As UTF-8 these stand for themselves and for nothing else; see isStorable. */
const UNSTORABLE_BYTES = [0x00, 0x15, 0x1e, 0x1f];

/** Operators can read the body of nearly every message; PostgreSQL's text cannot hold a NUL, nor bytes that are no text. */
function bodyText(content: MessageBody): { readonly body: string; readonly encoding?: BodyEncoding } {
  if (typeof content === 'string' && isStorable(content)) return { body: content };
  const buffer = bodyBytes(content);
  if (isUtf8(buffer) && !UNSTORABLE_BYTES.some((byte) => buffer.includes(byte)))
    return { body: buffer.toString('utf8') };
  return { body: buffer.toString('base64'), encoding: 'base64' };
}

/** Throws UsageError for what the column cannot hold. */
export function checkName(field: string, value: string): void {
  if (typeof value === 'string' && value.length > 0 && value.length <= LONGEST_NAME && isStorable(value)) return;
  throw refused(field, value, `a text of 1 to ${LONGEST_NAME} characters without control characters`);
}

function whole(field: string, value: number, range: { readonly from: number; readonly to: number }): number {
  if (Number.isInteger(value) && value >= range.from && value <= range.to) return value;
  throw refused(field, value, `a whole number from ${range.from} to ${range.to}`);
}

function finite(field: string, value: number): number {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
  throw refused(field, value, 'a finite number of milliseconds');
}

function refused(field: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: field === 'queue' ? 'QUEUE_NAME_INVALID' : 'PUBLISH_FAILED',
    message: `The message cannot be stored: ${field} is ${showValue(value)}, expected ${expected}.`,
    fields: { field, value, expected },
  });
}
