import { createHash } from 'node:crypto';
import { isRecord } from '../message/wire-fields.js';
import type { TaskEnvelope } from '../message/task-message.js';

/**
 * A revocation by stamp is kept beside those by task id, under an id that no task has: so it is as durable as they are, in every
 * store, and a worker that starts later knows it too.
 */
const PREFIX = 'stamp:';
/** What an id may have in every store. */
const LONGEST_ID = 200;

/** Marks of tasks by name; of several values of one name each counts. */
export type Stamps = Readonly<Record<string, StampValue | readonly StampValue[]>>;

/** A value that a call is stamped with. */
export type StampValue = string | number | boolean;

/** What Celery's `revoke_by_stamped_headers` names: `{ stamp: value or [values] }`, or `['stamp=value', …]`. Undefined for anything else. */
export function stampRevocationIds(headers: unknown): readonly string[] | undefined {
  const pairs = Array.isArray(headers) ? headers.map(pairOf) : isRecord(headers) ? Object.entries(headers) : [];
  const ids = pairs.flatMap((pair) => {
    if (pair === undefined) return [undefined];
    const [name, value] = pair;
    return [value].flat().map((one: unknown) => (isStampValue(one) ? stampId(name, one) : undefined));
  });
  return ids.length > 0 && ids.every((id) => id !== undefined) ? [...new Set(ids)] : undefined;
}

export function isStampRevocation(taskId: string): boolean {
  return taskId.startsWith(PREFIX);
}

/** By which ids a task is revoked that bears these stamps. */
export function revokedBy({
  stampedHeaders,
  stamps,
}: Pick<TaskEnvelope, 'stampedHeaders' | 'stamps'>): readonly string[] {
  const names = stampedHeaders ?? Object.keys(stamps);
  return names.flatMap((name) => {
    const values = [stamps[name]].flat() as readonly unknown[];
    return values.filter(isStampValue).map((value) => stampId(name, value));
  });
}

function stampId(name: string, value: StampValue): string {
  // On the command line all values are text.
  const id = PREFIX + JSON.stringify([name, String(value)]);
  return id.length <= LONGEST_ID && /^[ -~]+$/.test(id)
    ? id
    : `${PREFIX}sha256:${createHash('sha256').update(id).digest('hex')}`;
}

function pairOf(text: unknown): readonly [string, string] | undefined {
  const [, name, value] = typeof text === 'string' ? (/^([^=]+)=(.*)$/s.exec(text) ?? []) : [];
  return name === undefined || value === undefined ? undefined : [name, value];
}

function isStampValue(value: unknown): value is StampValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}
