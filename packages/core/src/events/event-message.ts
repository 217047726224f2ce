import { bodyBytes } from '../message/encoded-message.js';
import type { EncodedMessage } from '../message/encoded-message.js';
import { isRecord } from '../message/wire-fields.js';
import type { Channel, Publication } from '../ports/channel.js';
import type { ClusterEvent, ClusterEventPayloads, ClusterEventType, EventOrigin, OtherEvent } from './cluster-event.js';
import type { FieldRule } from './event-fields.js';
import { EVENT_FIELDS, isClusterEventType } from './event-fields.js';

/** All events, to listen to. */
export const EVENTS: Channel = { exchange: 'celeryev', kind: 'topic', key: '#' };

/** Where lists of task events are said. */
const MULTI = 'task.multi';

/** What every event has besides its own fields. */
export type EventStamp = Pick<EventOrigin, 'hostname' | 'at' | 'pid' | 'clock' | 'utcoffset'>;

/** An event as its message will hold it: JSON. */
export interface WrittenEvent {
  readonly type: ClusterEventType;
  readonly json: string;
}

/** In Celery's spelling, units and order. What is undefined is null there. */
export function writeEvent<T extends ClusterEventType>(
  type: T,
  payload: ClusterEventPayloads[T],
  { hostname, at, pid, clock, utcoffset }: EventStamp,
): WrittenEvent {
  const event: Record<string, unknown> = { hostname, utcoffset, pid, clock };
  for (const [field, { wire, write }] of Object.entries(EVENT_FIELDS[type] as Record<string, FieldRule>)) {
    const value = (payload as unknown as Record<string, unknown>)[field];
    event[wire] = value === undefined ? null : write(value as never);
  }
  event['timestamp'] = at / 1_000;
  event['type'] = type;
  return { type, json: JSON.stringify(event) };
}

/** One event, said under its own name: `worker.heartbeat`, `task.sent`. */
export function singleEvent(hostname: string, { type, json }: WrittenEvent): Publication {
  return publication(hostname, type.replace('-', '.'), json);
}

/** A list of task events, as Celery's workers say theirs, also one alone. */
export function listOfEvents(hostname: string, events: readonly WrittenEvent[]): Publication {
  return publication(hostname, MULTI, `[${events.map(({ json }) => json).join(',')}]`);
}

function publication(hostname: string, key: string, json: string): Publication {
  return {
    channel: { ...EVENTS, key },
    message: {
      headers: { hostname },
      properties: { delivery_mode: 1, priority: 0 },
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      body: new TextEncoder().encode(json),
    },
  };
}

export type ReadEvent =
  { readonly known: true; readonly event: ClusterEvent } | { readonly known: false; readonly event: OtherEvent };

/** The events of a message, one or a list. Nothing of what cannot be read: anybody may say anything on the channel. */
export function readEvents(message: EncodedMessage): readonly ReadEvent[] {
  const value = jsonOf(message);
  return (Array.isArray(value) ? (value as readonly unknown[]) : [value]).flatMap(readEvent);
}

function jsonOf({ contentType, body }: EncodedMessage): unknown {
  if (contentType !== 'application/json') return undefined;
  try {
    return JSON.parse(bodyBytes(body).toString('utf8'));
  } catch {
    return undefined;
  }
}

function readEvent(fields: unknown): readonly ReadEvent[] {
  if (!isRecord(fields)) return [];
  const { type, hostname, timestamp, pid, clock, utcoffset } = fields;
  if (typeof type !== 'string' || typeof hostname !== 'string' || typeof timestamp !== 'number') return [];
  const origin = {
    hostname,
    at: timestamp * 1_000,
    pid: typeof pid === 'number' ? pid : undefined,
    clock: typeof clock === 'number' ? clock : 0,
    utcoffset: typeof utcoffset === 'number' ? utcoffset : undefined,
    fields,
  };
  if (!isClusterEventType(type)) return [{ known: false, event: { ...origin, type } }];
  if (type.startsWith('task-') && typeof fields['uuid'] !== 'string') return [];
  const rules = Object.entries(EVENT_FIELDS[type] as Record<string, FieldRule>);
  const payload = Object.fromEntries(rules.map(([field, { wire, read }]) => [field, read(fields[wire])]));
  return [{ known: true, event: { ...origin, type, ...payload } as unknown as ClusterEvent }];
}
