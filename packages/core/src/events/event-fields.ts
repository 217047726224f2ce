import { isoInstant, isWireInstant, parseIsoInstant } from '../message/iso-instant.js';
import type { ClusterEventPayloads, ClusterEventType } from './cluster-event.js';

/** How a field is called and written on the wire. */
export interface FieldRule {
  readonly wire: string;
  readonly write: (value: never) => unknown;
  /** Undefined for what does not fit: anybody may say anything. */
  readonly read: (value: unknown) => unknown;
}

type Shape<T extends ClusterEventType> = { readonly [F in keyof ClusterEventPayloads[T]]: FieldRule };

/** The fields of each type, in Celery's order. */
export const EVENT_FIELDS: { readonly [T in ClusterEventType]: Shape<T> } = (() => {
  const plain = (wire: string, type: string): FieldRule => ({
    wire,
    write: (value: unknown) => value,
    read: (value) => (typeof value === type ? value : undefined),
  });
  const text = (wire: string): FieldRule => plain(wire, 'string');
  const number = (wire: string): FieldRule => plain(wire, 'number');
  const flag = (wire: string): FieldRule => plain(wire, 'boolean');
  const seconds = (wire: string): FieldRule => ({
    wire,
    write: (ms: number) => ms / 1_000,
    read: (value) => (typeof value === 'number' ? value * 1_000 : undefined),
  });
  const instant = (wire: string): FieldRule => ({
    wire,
    write: (ms: number) => (isWireInstant(ms) ? isoInstant(ms) : null),
    read: (value) => (typeof value === 'string' ? parseIsoInstant(value) : undefined),
  });
  const numbers = (wire: string): FieldRule => ({
    wire,
    write: (value: unknown) => value,
    read: (value) =>
      Array.isArray(value) && value.length <= 16 && value.every((one) => typeof one === 'number') ? value : undefined,
  });
  const worker: Shape<'worker-online'> = {
    intervalMs: seconds('freq'),
    active: number('active'),
    processed: number('processed'),
    loadAverage: numbers('loadavg'),
    software: text('sw_ident'),
    version: text('sw_ver'),
    system: text('sw_sys'),
  };
  const task: Shape<'task-started'> = { id: text('uuid') };
  const description: Shape<'task-received'> = {
    ...task,
    name: text('name'),
    args: text('args'),
    kwargs: text('kwargs'),
    rootId: text('root_id'),
    parentId: text('parent_id'),
    retries: number('retries'),
    eta: instant('eta'),
    expires: instant('expires'),
  };
  const exception: Shape<'task-failed'> = { ...task, exception: text('exception'), traceback: text('traceback') };
  return {
    'worker-online': worker,
    'worker-heartbeat': worker,
    'worker-offline': worker,
    'task-sent': {
      ...description,
      queue: text('queue'),
      exchange: text('exchange'),
      routingKey: text('routing_key'),
    },
    'task-received': description,
    'task-started': task,
    'task-succeeded': { ...task, result: text('result'), runtimeMs: seconds('runtime') },
    'task-failed': exception,
    'task-retried': exception,
    'task-rejected': { ...task, requeue: flag('requeue') },
    'task-revoked': { ...task, terminated: flag('terminated'), signum: number('signum'), expired: flag('expired') },
    'task-snoozed': { ...task, delayMs: seconds('delay') },
    'task-ignored': task,
    'task-interrupted': task,
    'task-crashed': { ...task, reason: text('reason') },
  };
})();

/** Types of all events that have fields here. */
export function clusterEventTypes(): readonly string[] {
  return Object.keys(EVENT_FIELDS);
}

/** Is it an event that has fields here? */
export function isClusterEventType(type: unknown): type is ClusterEventType {
  return typeof type === 'string' && Object.hasOwn(EVENT_FIELDS, type);
}
