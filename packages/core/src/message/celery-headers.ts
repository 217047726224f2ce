import { UsageError, showValue } from '../errors/errors.js';
import type { CeleryDialect } from './celery-dialect.js';
import type { EncodedMessage, MessageProperties } from './encoded-message.js';
import { isoInstant, isWireInstant } from './iso-instant.js';
import { isForbiddenKey } from './payload-limits.js';
import type { TaskEnvelope } from './task-message.js';
import {
  checkKeys,
  illTyped,
  isWireName,
  MAX_LIMIT_SECONDS,
  optionalCount,
  optionalFlag,
  optionalInstant,
  optionalList,
  optionalName,
  optionalRecord,
  optionalText,
  requiredName,
  timeLimits,
} from './wire-fields.js';
import type { WireFields } from './wire-fields.js';

/** The envelope of a protocol 2 message. Throws MessageError DECODE_FAILED that names the field. */
export function openHeaders({ headers, properties }: EncodedMessage): TaskEnvelope {
  const id = requiredName(headers, 'id');
  const limits = timeLimits(headers);
  const { replyTo, correlationId, priority, deliveryMode, expiration } = openProperties(properties, id);
  return {
    lang: optionalText(headers, 'lang') ?? 'py',
    id,
    task: requiredName(headers, 'task'),
    shadow: optionalText(headers, 'shadow'),
    eta: optionalInstant(headers, 'eta'),
    expires: optionalInstant(headers, 'expires'),
    group: optionalName(headers, 'group'),
    groupIndex: optionalCount(headers, 'group_index'),
    retries: optionalCount(headers, 'retries') ?? 0,
    timeLimitMs: limits[0],
    softTimeLimitMs: limits[1],
    rootId: optionalName(headers, 'root_id') ?? id,
    parentId: optionalName(headers, 'parent_id'),
    argsRepr: optionalText(headers, 'argsrepr'),
    kwargsRepr: optionalText(headers, 'kwargsrepr'),
    origin: optionalText(headers, 'origin') ?? '',
    ignoreResult: optionalFlag(headers, 'ignore_result') ?? false,
    replacedTaskNesting: optionalCount(headers, 'replaced_task_nesting') ?? 0,
    stampedHeaders: stampedHeaders(headers),
    stamps: stamps(headers),
    customHeaders: customHeaders(headers),
    replyTo,
    correlationId,
    priority,
    deliveryMode,
    expiration,
    lostChildren: optionalCount(headers, LOST_CHILDREN),
  };
}

/** Our own; Python passes it by. */
export const LOST_CHILDREN = 'taskqueue_lost_children';

/** What the properties say; the same in both protocols. */
export function openProperties(
  properties: MessageProperties,
  id: string,
): Pick<TaskEnvelope, 'replyTo' | 'correlationId' | 'priority' | 'deliveryMode' | 'expiration'> {
  return {
    replyTo: optionalText(properties, 'reply_to') ?? '',
    correlationId: optionalText(properties, 'correlation_id') ?? id,
    priority: optionalCount(properties, 'priority'),
    deliveryMode: optionalCount(properties, 'delivery_mode') ?? PERSISTENT,
    expiration: optionalText(properties, 'expiration'),
  };
}

/** Headers that are not Celery's, without prototype. Throws DECODE_FAILED for forbidden keys at any depth. */
export function customHeaders(headers: WireFields): Readonly<Record<string, unknown>> {
  let custom: Record<string, unknown> | undefined;
  // Without a list of the names: this runs for every message, and most have no header of the user's.
  for (const name in headers) {
    if (OWN_HEADERS.has(name) || !Object.hasOwn(headers, name)) continue;
    if (isForbiddenKey(name)) throw illTyped(name, 'absent: it is not allowed as a header', headers[name]);
    checkKeys(headers[name], `headers.${name}`);
    custom ??= Object.create(null) as Record<string, unknown>;
    custom[name] = headers[name];
  }
  return custom ?? NO_HEADERS;
}

/**
 * The headers in Celery's order, all keys always there but representations that nobody reads; then the custom ones, then `compression`. In dialect 5.2 the
 * last three are written only where they say something. Throws UsageError TASK_OPTIONS_INVALID.
 */
export function taskHeaders(
  message: TaskEnvelope,
  dialect: CeleryDialect,
  compression: string | undefined,
): Record<string, unknown> {
  const headers: Record<string, unknown> = {
    lang: message.lang,
    task: wireName(message.task, 'task'),
    id: wireName(message.id, 'id'),
    shadow: message.shadow ?? null,
    eta: wireInstant(message.eta, 'eta'),
    expires: wireInstant(message.expires, 'expires'),
    group: message.group ?? null,
    group_index: message.groupIndex ?? null,
    retries: message.retries,
    timelimit: [seconds(message.timeLimitMs, 'timeLimit'), seconds(message.softTimeLimitMs, 'softTimeLimit')],
    root_id: message.rootId,
    parent_id: message.parentId ?? null,
    ...(message.argsRepr === undefined ? {} : { argsrepr: message.argsRepr }),
    ...(message.kwargsRepr === undefined ? {} : { kwargsrepr: message.kwargsRepr }),
    origin: message.origin,
    ignore_result: message.ignoreResult,
  };
  const modern = dialect !== '5.2';
  if (modern || message.replacedTaskNesting > 0) headers['replaced_task_nesting'] = message.replacedTaskNesting;
  if (modern || message.stampedHeaders !== undefined) {
    headers['stamped_headers'] = message.stampedHeaders ?? null;
    headers['stamps'] = message.stamps;
  }
  if (message.lostChildren) headers[LOST_CHILDREN] = message.lostChildren;
  addCustomHeaders(headers, message.customHeaders);
  if (compression !== undefined) headers['compression'] = compression;
  return headers;
}

/**
 * Only the headers that differ from what a reader of Celery's (worker/request.py) and ours takes for granted: half of a
 * small message is nulls otherwise. Throws UsageError TASK_OPTIONS_INVALID.
 */
export function leanHeaders(message: TaskEnvelope, compression: string | undefined): Record<string, unknown> {
  const { id, rootId, timeLimitMs, softTimeLimitMs } = message;
  const headers: Record<string, unknown> = {
    lang: message.lang,
    task: wireName(message.task, 'task'),
    id: wireName(id, 'id'),
  };
  if (message.shadow !== undefined) headers['shadow'] = message.shadow;
  if (message.eta !== undefined) headers['eta'] = wireInstant(message.eta, 'eta');
  if (message.expires !== undefined) headers['expires'] = wireInstant(message.expires, 'expires');
  if (message.group !== undefined) headers['group'] = message.group;
  if (message.groupIndex !== undefined) headers['group_index'] = message.groupIndex;
  if (message.retries > 0) headers['retries'] = message.retries;
  if (timeLimitMs !== undefined || softTimeLimitMs !== undefined) {
    headers['timelimit'] = [seconds(timeLimitMs, 'timeLimit'), seconds(softTimeLimitMs, 'softTimeLimit')];
  }
  if (rootId !== id) headers['root_id'] = rootId;
  if (message.parentId !== undefined) headers['parent_id'] = message.parentId;
  if (message.argsRepr !== undefined) headers['argsrepr'] = message.argsRepr;
  if (message.kwargsRepr !== undefined) headers['kwargsrepr'] = message.kwargsRepr;
  if (message.origin !== '') headers['origin'] = message.origin;
  if (message.ignoreResult) headers['ignore_result'] = true;
  if (message.replacedTaskNesting > 0) headers['replaced_task_nesting'] = message.replacedTaskNesting;
  if (message.stampedHeaders !== undefined) {
    headers['stamped_headers'] = message.stampedHeaders;
    headers['stamps'] = message.stamps;
  }
  if (message.lostChildren) headers[LOST_CHILDREN] = message.lostChildren;
  addCustomHeaders(headers, message.customHeaders);
  if (compression !== undefined) headers['compression'] = compression;
  return headers;
}

/** The properties that say something. */
export function leanProperties(message: TaskEnvelope): MessageProperties {
  const properties: Record<string, unknown> = {};
  if (message.replyTo !== '') properties['reply_to'] = message.replyTo;
  if (message.replyTo !== '' || message.correlationId !== message.id) {
    properties['correlation_id'] = message.correlationId;
  }
  if (message.deliveryMode !== PERSISTENT) properties['delivery_mode'] = message.deliveryMode;
  if (message.expiration !== undefined) properties['expiration'] = message.expiration;
  if (message.priority !== undefined && message.priority !== 0) properties['priority'] = message.priority;
  return properties;
}

/** The properties Celery sets; `expiration` and `priority` only where there is one. */
export function taskProperties(message: TaskEnvelope): MessageProperties {
  return {
    correlation_id: message.correlationId,
    reply_to: message.replyTo,
    delivery_mode: message.deliveryMode,
    ...(message.expiration === undefined ? {} : { expiration: message.expiration }),
    ...(message.priority === undefined ? {} : { priority: message.priority }),
  };
}

const PERSISTENT = 2;
const NO_HEADERS: Readonly<Record<string, unknown>> = Object.freeze(Object.create(null) as Record<string, unknown>);

const OWN_HEADERS: ReadonlySet<string> = new Set(
  (
    'lang task id shadow eta expires group group_index retries timelimit root_id parent_id argsrepr kwargsrepr ' +
    'origin ignore_result replaced_task_nesting stamped_headers stamps compression ' +
    LOST_CHILDREN
  ).split(' '),
);

/** What brokers note about one delivery; it does not belong to the next form of the message. */
const DELIVERY_HEADER =
  /^(x-death|x-(first|last)-death-(exchange|queue|reason)|x-(delivery|acquired)-count|redelivered)$/;

function addCustomHeaders(headers: Record<string, unknown>, custom: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(custom)) {
    if (DELIVERY_HEADER.test(name)) continue;
    const value = custom[name];
    if (OWN_HEADERS.has(name) || isForbiddenKey(name)) {
      throw invalid(`headers.${name}`, value, 'absent: the name is reserved', 'Choose another header name.');
    }
    checkHeaderValue(value, `headers.${name}`, 0);
    headers[name] = value;
  }
}

/** Headers are written by the broker's client: only what every one of them can write. */
function checkHeaderValue(value: unknown, path: string, depth: number): void {
  const type = typeof value;
  if (value === null || type === 'string' || type === 'boolean') return;
  if (type === 'number' && Number.isFinite(value)) return;
  const expected = 'text, a finite number, true, false, null, or a list or plain object of those';
  if (type !== 'object' || depth >= MAX_CUSTOM_DEPTH) throw invalid(path, value, expected);
  if (Array.isArray(value)) {
    value.forEach((entry, index) => checkHeaderValue(entry, `${path}[${index}]`, depth + 1));
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw invalid(path, value, expected);
  for (const [key, entry] of Object.entries(value as object)) {
    if (isForbiddenKey(key)) throw invalid(`${path}.${key}`, entry, 'absent: the name is reserved');
    checkHeaderValue(entry, `${path}.${key}`, depth + 1);
  }
}

const MAX_CUSTOM_DEPTH = 16;

function stampedHeaders(headers: WireFields): readonly string[] | undefined {
  const names = optionalList(headers, 'stamped_headers');
  if (names === undefined) return undefined;
  if (names.every((name): name is string => typeof name === 'string')) return names;
  throw illTyped('stamped_headers', 'a list of names', names);
}

function stamps(headers: WireFields): Readonly<Record<string, unknown>> {
  const found = optionalRecord(headers, 'stamps');
  if (found === undefined) return NO_HEADERS;
  checkKeys(found, 'stamps');
  return found;
}

function wireName(value: string, field: string): string {
  if (isWireName(value)) return value;
  throw invalid(field, value, '1 to 255 characters without control characters');
}

function wireInstant(epochMs: number | undefined, field: string): string | null {
  if (epochMs === undefined) return null;
  if (isWireInstant(epochMs)) return isoInstant(epochMs);
  throw invalid(field, epochMs, 'an instant of the years 1 to 9999 in epoch milliseconds');
}

function seconds(ms: number | undefined, field: string): number | null {
  if (ms === undefined) return null;
  if (ms > 0 && ms <= MAX_LIMIT_SECONDS * 1_000) return ms / 1000;
  throw invalid(field, ms, `a positive number of milliseconds, at most ${MAX_LIMIT_SECONDS} seconds`);
}

function invalid(field: string, value: unknown, expected: string, remedy?: string): UsageError {
  return new UsageError({
    code: 'TASK_OPTIONS_INVALID',
    message: `${field} must be ${expected}, got ${showValue(value)}.`,
    ...(remedy === undefined ? {} : { remedy }),
    fields: { field, value, expected },
  });
}
