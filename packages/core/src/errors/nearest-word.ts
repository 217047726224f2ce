/** So many slips at most; beyond that it is another word. */
const MOST_SLIPS = 3;
/** And so much of the longer word has to be right. */
const LEAST_ALIKE = 0.4;

/**
 * The one of `known` that was probably meant by `word`: fewest letters added, left out, changed or swapped with their
 * neighbour, upper and lower case alike. Undefined where none is near.
 */
export function nearestWord(word: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let fewest = MOST_SLIPS + 1;
  for (const one of known) {
    const longer = Math.max(word.length, one.length);
    // Nothing to count where the lengths alone are too far apart; names come from outside and may be long.
    if (Math.abs(word.length - one.length) >= fewest) continue;
    const slips = slipsBetween(word.toLowerCase(), one.toLowerCase());
    if (slips >= fewest || (longer - slips) / longer <= LEAST_ALIKE) continue;
    fewest = slips;
    nearest = one;
  }
  return nearest;
}

/** `Did you mean worker?`, or undefined where no known word is near. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const nearest = nearestWord(word, known);
  return nearest === undefined ? undefined : `Did you mean ${nearest}?`;
}

/** Optimal string alignment: by rows, of which a swap needs the last two. */
function slipsBetween(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const next = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      let slips = Math.min(at(last, column) + 1, at(next, column - 1) + 1, at(last, column - 1) + same);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) slips = Math.min(slips, at(before, column - 2) + 1);
      next.push(slips);
    }
    [before, last] = [last, next];
  }
  return at(last, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] as number;
}
