/**
 * Where the value of a member of the outermost object lies in a JSON text: from, and up to. Undefined when there is
 * none. For values that must be kept to the letter (numbers that JavaScript would round, Python's `NaN`), and that a
 * parser would therefore spoil.
 */
export function findMember(text: string, name: string): readonly [number, number] | undefined {
  const key = JSON.stringify(name);
  let depth = 0;
  let start: number | undefined;
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at);
        if (depth === 1 && start === undefined && text.slice(at, end) === key) {
          const colon = /^\s*:\s*/.exec(text.slice(end, end + 16))?.[0];
          if (colon !== undefined) start = end + colon.length;
          // The value may begin right here, with a quotation mark for one.
          at = (start ?? end) - 1;
          continue;
        }
        at = end - 1;
        break;
      }
      case '{':
      case '[':
        depth += 1;
        break;
      case ',':
        if (depth === 1 && start !== undefined) return [start, at];
        break;
      case ']':
      case '}':
        depth -= 1;
        if (depth === 0 && start !== undefined) return [start, at];
        break;
      default:
    }
  }
  return undefined;
}

/** Right behind the closing quotation mark. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}
