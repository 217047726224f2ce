import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEFAULT_SETTINGS, environmentName, ERROR_CODES, settingPaths, systemClock } from '@taskqueue/core';
import { remoteCommands } from '../../packages/core/src/worker/remote-commands.js';

const read = (file: string): string => readFileSync(file, 'utf8');

/** Cells of the tables' rows, without their back-ticks. */
function rows(markdown: string): string[][] {
  return markdown
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const code = (cell: string | undefined): string => /`([^`]+)`/.exec(cell ?? '')?.[1] ?? '';

describe('the documents say what the code says', () => {
  it('errors: each code has one entry, and each entry is a code', () => {
    const documented = rows(read('docs/reference/errors.md')).map(([first]) => code(first));
    expect([...documented].sort()).toEqual([...ERROR_CODES].sort());
  });

  it('errors: each code is used', () => {
    const sources = readdirSync('packages', { recursive: true, encoding: 'utf8' })
      .filter((file) => /\/src\/.*\.ts$/.test(file) && !file.endsWith('error-codes.ts'))
      .map((file) => read(`packages/${file}`))
      .join('\n');
    // Codes that only drivers still to come can meet.
    const reserved = new Set(['QUEUE_MISMATCH', 'MESSAGE_TOO_LARGE']);
    const unused = ERROR_CODES.filter((one) => !reserved.has(one) && !sources.includes(`'${one}'`));
    expect(unused).toEqual([]);
  });

  it('settings: each has one entry with its variable and its default', () => {
    const settings = rows(read('docs/reference/settings.md')).filter(([, variable]) =>
      settingPaths().some((path) => environmentName(path) === code(variable)),
    );
    expect(settings.map(([first]) => code(first)).sort()).toEqual([...settingPaths()].sort());
    for (const [path, variable, shown] of settings) {
      expect(code(variable)).toBe(environmentName(code(path)));
      const [group, key] = code(path).split('.') as [keyof typeof DEFAULT_SETTINGS, string | undefined];
      const value: unknown =
        key === undefined
          ? DEFAULT_SETTINGS[group]
          : (DEFAULT_SETTINGS[group] as unknown as Record<string, unknown>)[key];
      if (value !== undefined) expect(code(shown), code(path)).toBe(String(value as string | number | boolean));
    }
  });

  it('commands: each that a worker obeys has an entry', () => {
    const commands = [...remoteCommands({ clock: systemClock, parts: {}, pool: {} } as never, 'all').keys()];
    const entries = rows(read('docs/remote-control.md')).map(([first]) => first ?? '');
    const documented = entries.flatMap((cell) => [...cell.matchAll(/`(\w+)/g)].map(([, name]) => name));
    expect(commands.length).toBeGreaterThan(25);
    expect(commands.filter((name) => !documented.includes(name))).toEqual([]);
  });

  it('links between the documents lead somewhere', () => {
    const files = [
      'README.md',
      'CONTRIBUTING.md',
      'ARCHITECTURE.md',
      ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.md'))
        .map((file) => `docs/${file}`),
    ];
    for (const file of files) {
      const folder = file.includes('/') ? file.slice(0, file.lastIndexOf('/') + 1) : '';
      for (const [, target] of read(file).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        expect(() => read(folder + (target as string)), `${file} → ${target}`).not.toThrow();
      }
    }
  });
});
