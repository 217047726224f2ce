import { FixedOffsetZone, IANAZone, type Zone } from 'luxon';
import { DAY_MS } from './instant.js';

/** A stretch of time with one UTC offset. The first and the last of a list are open: −Infinity and Infinity. */
export interface ZonePiece {
  /** First instant, epoch milliseconds. */
  readonly from: number;
  /** First instant after it. */
  readonly to: number;
  /** Wall clock minus UTC, milliseconds. */
  readonly offset: number;
}

type ZoneChange = Omit<ZonePiece, 'to'>;

/** Days to remember; a search looks at few neighbouring ones again and again. */
const REMEMBERED_DAYS = 64;
const ZONE_NAME = /^[A-Za-z0-9_+\-/]{1,64}$/;

/** Is it the name of an IANA time zone that this runtime knows? */
export function isTimeZone(name: unknown): name is string {
  // The pattern comes first because luxon remembers every name that it was ever asked for.
  return typeof name === 'string' && ZONE_NAME.test(name) && IANAZone.create(name).isValid;
}

/**
 * The changes of a time zone's offset. Asking ICU costs microseconds, so it is asked once per UTC midnight, and only
 * between two midnights that differ is the change searched for. That finds every change: the two nearest on record
 * (Freetown, September 1939) are four days apart.
 */
export class ZoneTimeline {
  private readonly zone: Zone;
  private readonly midnights = new Map<number, number>();
  private readonly changes = new Map<number, ZoneChange>();

  /** `name` must pass {@link isTimeZone}. */
  constructor(name: string) {
    this.zone = name === 'UTC' ? FixedOffsetZone.utcInstance : IANAZone.create(name);
  }

  /** The pieces of the UTC day with this number (days since the epoch), the day before and the day after. */
  around(day: number): ZonePiece[] {
    const pieces: ZonePiece[] = [];
    let open = { from: Number.NEGATIVE_INFINITY, offset: this.offsetAtMidnight(day - 1) };
    for (const change of [day - 1, day, day + 1].map((each) => this.changeOn(each))) {
      if (change === undefined) continue;
      pieces.push({ ...open, to: change.from });
      open = change;
    }
    return [...pieces, { ...open, to: Number.POSITIVE_INFINITY }];
  }

  private changeOn(day: number): ZoneChange | undefined {
    const offset = this.offsetAtMidnight(day + 1);
    if (offset === this.offsetAtMidnight(day)) return undefined;
    return remember(this.changes, day, () => ({ from: this.firstWith(offset, day * DAY_MS), offset }));
  }

  /** The whole second of the UTC day starting at `midnight` from which on the offset is this. */
  private firstWith(offset: number, midnight: number): number {
    let before = 0;
    let after = DAY_MS / 1000;
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.offsetAt(midnight + middle * 1000) === offset) after = middle;
      else before = middle;
    }
    return midnight + after * 1000;
  }

  private offsetAtMidnight(day: number): number {
    return remember(this.midnights, day, () => this.offsetAt(day * DAY_MS));
  }

  private offsetAt(instant: number): number {
    return Math.round(this.zone.offset(instant) * 60_000);
  }
}

function remember<Value>(memory: Map<number, Value>, day: number, compute: () => Value): Value {
  let value = memory.get(day);
  if (value === undefined) {
    value = compute();
    if (memory.size >= REMEMBERED_DAYS) memory.clear();
    memory.set(day, value);
  }
  return value;
}
