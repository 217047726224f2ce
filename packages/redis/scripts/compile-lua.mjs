// Compiles src/lua/*.lua into src/generated/lua.ts: parts are put in where they are included, comments are left out.
// `--check` only says whether the module is up to date.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = new URL('../src/lua/', import.meta.url);
const target = new URL('../src/generated/lua.ts', import.meta.url);

/** Name → source, with its parts, each once. */
export function compileScripts() {
  const names = readdirSync(folder).filter((file) => file.endsWith('.lua'));
  return new Map(names.sort().map((file) => [file.slice(0, -'.lua'.length), compileScript(file)]));
}

/** The module as it must be. */
export function compileModule() {
  const scripts = [...compileScripts()].map(([name, source]) => member(key(name), quote(source)));
  return `// Compiled from src/lua by scripts/compile-lua.mjs; do not edit.\nexport const LUA = {\n${scripts.join('')}} as const;\n`;
}

function compileScript(file) {
  const included = new Set();
  const lines = readFileSync(new URL(file, folder), 'utf8').split('\n');
  if (!lines[0].startsWith('-- ')) throw new Error(`${file} has no header`);
  return lines.flatMap((line) => expand(line, included)).join('\n');
}

function expand(line, included) {
  const part = /^--- @include (\S+)$/.exec(line)?.[1];
  if (part === undefined) return line.trim() === '' || /^\s*--/.test(line) ? [] : [line];
  if (included.has(part)) return [];
  included.add(part);
  const source = readFileSync(new URL(`parts/${part}.lua`, folder), 'utf8');
  return source.split('\n').flatMap((inner) => expand(inner, included));
}

/** As prettier breaks it. */
function member(name, text) {
  const line = `  ${name}: ${text},\n`;
  return line.length <= 121 ? line : `  ${name}:\n    ${text},\n`;
}

function key(name) {
  return name.includes('-') ? `'${name}'` : name;
}

/** As prettier writes a string: in single quotes unless that escapes more. */
function quote(text) {
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  const [single, double] = [escaped.split("'").length, escaped.split('"').length];
  return double < single ? `"${escaped.replaceAll('"', '\\"')}"` : `'${escaped.replaceAll("'", "\\'")}'`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const module = compileModule();
  if (!process.argv.includes('--check')) writeFileSync(target, module);
  else if (readFileSync(target, 'utf8') !== module) {
    process.stderr.write('src/generated/lua.ts is not what src/lua compiles to: run node scripts/compile-lua.mjs\n');
    process.exit(1);
  }
}
