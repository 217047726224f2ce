type Unit = 'kb' | 'mb' | 'gb';

/** Bytes as a number, or text with a unit of 1024: `'512kb'`, `'200mb'`, `'1.5gb'`. */
export type ByteSize = number | `${number}${Unit}` | `${number} ${Unit}`;

const SIZE_TEXT = /^(\d+(?:\.\d+)?) ?(kb|mb|gb)$/i;
const FACTOR: Readonly<Record<string, number>> = { kb: 1_024, mb: 1_048_576, gb: 1_073_741_824 };

/** The size in bytes, or undefined when it is not one: negative, not whole, or text we do not know. */
export function parseByteSize(size: unknown): number | undefined {
  if (typeof size === 'number') return Number.isSafeInteger(size) && size >= 0 ? size : undefined;
  const [, number, unit] = (typeof size === 'string' ? SIZE_TEXT.exec(size) : null) ?? [];
  return number === undefined || unit === undefined
    ? undefined
    : Math.round(Number(number) * (FACTOR[unit.toLowerCase()] as number));
}
