import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** `name` and file of what an index exports from a file beside it. */
function exportsOf(index: string): readonly (readonly [name: string, file: string])[] {
  const lists = readFileSync(index, 'utf8').matchAll(/export (?:type )?\{([^}]*)\} from '\.\/([^']+)\.js'/g);
  return [...lists].flatMap(([, names = '', path = '']) =>
    names
      .split(',')
      .map(
        (name) =>
          name
            .trim()
            .replace(/^type /, '')
            .split(' as ')[0] ?? '',
      )
      .filter((name) => name !== '')
      .map((name) => [name, index.replace('index.ts', `${path}.ts`)] as const),
  );
}

/** Whether a comment stands before the declaration, or before its decorators. Undefined where it is declared elsewhere. */
function isDescribed(name: string, file: string): boolean | undefined {
  const lines = readFileSync(file, 'utf8').split('\n');
  const declares = new RegExp(`^export (abstract |async )*(class|function\\*?|interface|type|const) ${name}\\b`);
  let at = lines.findIndex((line) => declares.test(line)) - 1;
  if (at < -1) return undefined;
  while (/^(@|\/\/|\}\)$|\s+\S)/.test(lines[at] ?? '') && !(lines[at] ?? '').endsWith('*/')) at -= 1;
  return (lines[at] ?? '').endsWith('*/');
}

it('everything that a package exports says what it is', () => {
  const indexes = readdirSync('packages')
    .map((name) => `packages/${name}/src/index.ts`)
    .filter((file) => existsSync(file));
  const silent = indexes
    .flatMap(exportsOf)
    .filter(([name, file]) => isDescribed(name, file) === false)
    .map(([name, file]) => `${file}: ${name}`);
  expect(indexes.length).toBeGreaterThan(4);
  expect(silent).toEqual([]);
});
