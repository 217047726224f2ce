/** First and last instant that Python's datetime can hold: years 1 to 9999. */
const FIRST_INSTANT = -62_135_596_800_000;
const LAST_INSTANT = 253_402_300_799_999;

/** Can Python read this instant? False also for NaN. */
export function isWireInstant(epochMs: number): boolean {
  return epochMs >= FIRST_INSTANT && epochMs <= LAST_INSTANT;
}

/**
 * An instant (epoch ms) as Python's `isoformat` writes it: microseconds, or no fraction when it is zero, and the
 * offset `+00:00` or `Z`. The instant must satisfy {@link isWireInstant}.
 */
export function isoInstant(epochMs: number, offset: '+00:00' | 'Z' = '+00:00'): string {
  const iso = new Date(epochMs).toISOString();
  const fraction = iso.slice(19, 23);
  return iso.slice(0, 19) + (fraction === '.000' ? '' : `${fraction}000`) + offset;
}

const ISO = /^(\d{4}-\d\d-(\d\d))(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?)?$/;

/** Epoch ms of ISO 8601 text as Python writes it, cut to milliseconds; without an offset it is UTC. Undefined when it is none. */
export function parseIsoInstant(text: string): number | undefined {
  const match = text.length > 40 ? null : ISO.exec(text);
  if (match === null) return undefined;
  const [, date, day, minutes = '00:00', seconds = ':00', fraction = '0', offset = 'Z'] = match;
  const local = Date.parse(`${date}T${minutes}${seconds}.${fraction.slice(0, 3).padEnd(3, '0')}Z`);
  // Date.parse moves 30 February into March.
  if (Number.isNaN(local) || new Date(local).getUTCDate() !== Number(day)) return undefined;
  const shift = offsetMs(offset);
  if (shift === undefined || minutes.startsWith('24')) return undefined;
  const instant = local - shift;
  return isWireInstant(instant) ? instant : undefined;
}

function offsetMs(offset: string): number | undefined {
  if (offset === 'Z') return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(-2));
  if (hours > 23 || minutes > 59) return undefined;
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
