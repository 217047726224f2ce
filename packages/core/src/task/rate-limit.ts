/**
 * How often a task starts: a number is per second; text is a number with its unit, as Celery's `rate_limit` (`'5/s'`,
 * `'100/m'`, `'1000/h'`). With `scope: 'cluster'` all workers together keep it, where a driver has locks; otherwise each
 * worker keeps it for itself.
 */
export type RateLimitInit = number | string | { readonly limit: number | string; readonly scope?: RateScope };

/** Who counts starts: each worker for itself, or all of them together. */
export type RateScope = 'worker' | 'cluster';

/** At most `count` starts in `periodMs`. */
export interface Rate {
  readonly count: number;
  readonly periodMs: number;
}

/** How often a task may start, and who counts. */
export interface RateLimit extends Rate {
  readonly scope: RateScope;
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
/** Ten thousand a second to one a year. */
const MOST_PER_MS = 10;
const LEAST_PER_MS = 1 / (366 * 86_400_000);

/** What is expected, for messages. */
export const RATE_EXPECTED = "a rate such as '100/m', '5/s', '1000/h', or a number per second, up to 10000/s";

/** Undefined for what is no rate; zero is none. */
export function parseRate(value: unknown): Rate | undefined {
  const [, digits, unit = 's'] =
    typeof value === 'number'
      ? ['', String(value)]
      : typeof value === 'string'
        ? (/^\s*(\d{1,12}(?:\.\d{1,9})?)\s*(?:\/\s*([smh]))?\s*$/.exec(value) ?? [])
        : [];
  const [count, periodMs] = [Number(digits), UNITS[unit] as number];
  const perMs = count / periodMs;
  return perMs >= LEAST_PER_MS && perMs <= MOST_PER_MS ? { count, periodMs } : undefined;
}

/** As it is written: `10/m`. */
export function showRate({ count, periodMs }: Rate): string {
  const [unit = 's'] = Object.entries(UNITS).find(([, ms]) => ms === periodMs) ?? [];
  return `${count}/${unit}`;
}

/** The same with its scope. */
export function parseRateLimit(value: unknown): RateLimit | undefined {
  const {
    limit,
    scope = 'worker',
    ...others
  } = (typeof value === 'object' && value !== null ? value : { limit: value }) as Readonly<Record<string, unknown>>;
  if (Object.keys(others).length > 0 || (scope !== 'worker' && scope !== 'cluster')) return undefined;
  const rate = parseRate(limit);
  return rate === undefined ? undefined : { ...rate, scope };
}
