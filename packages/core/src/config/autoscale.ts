/** Between which sizes a pool grows and shrinks. */
export interface AutoscaleRange {
  readonly max: number;
  readonly min: number;
}

/** A range, or Celery's text for it: `'max,min'`, or `'max'` alone, whose least is 0 there and 1 here. */
export type AutoscaleInit = AutoscaleRange | string;

/** The most that a pool may have. */
export const LARGEST_POOL = 10_000;

/** Undefined for what is none: sizes are whole numbers from 1 to 10000, and `min` is not above `max`. */
export function parseAutoscale(value: unknown): AutoscaleRange | undefined {
  if (typeof value === 'string') {
    const [, max, min = '1'] = /^\s*(\d{1,5})\s*(?:,\s*(\d{1,5})\s*)?$/.exec(value) ?? [];
    return max === undefined ? undefined : range(Number(max), Number(min));
  }
  if (typeof value === 'number') return range(value, 1);
  if (typeof value !== 'object' || value === null) return undefined;
  const { max, min, ...others } = value as Readonly<Record<string, unknown>>;
  return Object.keys(others).length > 0 ? undefined : range(max, min);
}

function range(max: unknown, min: unknown): AutoscaleRange | undefined {
  return isSize(max) && isSize(min) && min <= max ? { max, min } : undefined;
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= LARGEST_POOL;
}
