import { parseIsoInstant } from './iso-instant.js';

/**
 * Celery's envelopes for values that JSON has no type for: `{"__type__": type, "__value__": value}`.
 *
 * | type     | value on the wire   | in JavaScript           |
 * |----------|---------------------|-------------------------|
 * | datetime | ISO 8601            | Date (no offset: UTC)   |
 * | bytes    | text                | Uint8Array              |
 * | base64   | base64              | Uint8Array              |
 * | date     | `2024-01-31`        | string                  |
 * | time     | `10:30:00`          | string                  |
 * | decimal  | `1.10`              | string                  |
 * | uuid     | `{"hex": 32 digits}`| string, with dashes     |
 */
const REVIVERS: Readonly<Record<string, (value: unknown) => unknown>> = {
  datetime: reviveDatetime,
  bytes: (value) => (typeof value === 'string' ? new TextEncoder().encode(value) : undefined),
  base64: reviveBase64,
  date: reviveText,
  time: reviveText,
  decimal: reviveText,
  uuid: reviveUuid,
};

/** Is this the `__type__` of an envelope that readers know? */
export function isKnownTag(type: unknown): boolean {
  return typeof type === 'string' && Object.hasOwn(REVIVERS, type);
}

/** The value inside an envelope; undefined when the type is unknown or the value is none of that type. */
export function reviveTag(type: unknown, value: unknown): unknown {
  return isKnownTag(type) ? REVIVERS[type as string]?.(value) : undefined;
}

function reviveDatetime(value: unknown): Date | undefined {
  const instant = typeof value === 'string' ? parseIsoInstant(value) : undefined;
  return instant === undefined ? undefined : new Date(instant);
}

function reviveBase64(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(value)) return undefined;
  return new Uint8Array(Buffer.from(value, 'base64'));
}

function reviveText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function reviveUuid(value: unknown): string | undefined {
  const hex: unknown = typeof value === 'object' && value !== null ? (value as { hex?: unknown }).hex : undefined;
  if (typeof hex !== 'string' || !/^[0-9a-f]{32}$/i.test(hex)) return undefined;
  return hex.toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
