import { wrongUse } from '../command-failure.js';

/** Stamps as they are written on a command line, `name=value`; a name that is given again has several values. */
export function stampsFrom(pairs: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const stamps: Record<string, string[]> = {};
  for (const pair of pairs) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    if (name === undefined || value === undefined) throw wrongUse(`stamps must be name=value, got "${pair}".`);
    (stamps[name] ??= []).push(value);
  }
  return stamps;
}
