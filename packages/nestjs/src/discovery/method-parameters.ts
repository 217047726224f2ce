/** The parameter list of a method, as its source text shows it. */
export interface MethodParameters {
  /** Including those with a default, which `Function.length` leaves out. */
  readonly count: number;
  /** The last one is a rest parameter. */
  readonly rest: boolean;
}

const OPENING = '([{';
const CLOSING = ')]}';

/**
 * Reads a method's parameters. The source is scanned for the commas between them, past strings, comments and anything
 * in brackets, because a default may contain all of these. Where there is no source (native and bound functions) the
 * function's own length is taken.
 */
export function methodParameters(fn: (...args: never[]) => unknown): MethodParameters {
  const source = Function.prototype.toString.call(fn);
  if (/\{\s*\[native code\]\s*\}$/.test(source)) return { count: fn.length, rest: false };
  const list = parameterTexts(source);
  return { count: Math.max(list.length, fn.length), rest: list.at(-1)?.startsWith('...') ?? false };
}

function parameterTexts(source: string): string[] {
  const texts: string[] = [];
  let text = '';
  let depth = 0;
  for (const token of tokens(source)) {
    if (depth > 0 && CLOSING.includes(token)) depth -= 1;
    if (depth === 0 && token === ')') break;
    if (depth === 1 && token === ',') {
      texts.push(text.trim());
      text = '';
    } else if (depth > 0) text += token;
    if (OPENING.includes(token)) depth += depth > 0 || token === '(' ? 1 : 0;
  }
  if (text.trim() !== '') texts.push(text.trim());
  return texts;
}

/** Strings, templates and comments whole (comments as nothing), everything else a character at a time. */
function* tokens(source: string): Generator<string, void, undefined> {
  const pattern = /\/\*[^]*?\*\/|\/\/[^\n]*|'(?:\\[^]|[^'\\])*'|"(?:\\[^]|[^"\\])*"|`(?:\\[^]|[^`\\])*`|[^]/g;
  for (const [token] of source.matchAll(pattern)) {
    if (!token.startsWith('/*') && !token.startsWith('//')) yield token;
  }
}
