import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LUA } from '../src/generated/lua.js';
import { scriptNamed } from '../src/redis-script.js';
import type { ScriptName } from '../src/redis-script.js';
import { ScriptCommand } from '../src/script-command.js';

// oxlint-disable-next-line typescript/no-explicit-any -- a build script without types
const { compileModule } = (await import('../scripts/compile-lua.mjs' as any)) as { compileModule: () => string };
const folder = new URL('../src/lua/', import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith('.lua'));

describe('the scripts', () => {
  it('are compiled: run node packages/redis/scripts/compile-lua.mjs', () => {
    expect(readFileSync(new URL('../src/generated/lua.ts', import.meta.url), 'utf8')).toBe(compileModule());
    expect(Object.keys(LUA).sort()).toEqual(files.map((file) => file.slice(0, -4)).sort());
  });

  it.each(files)('%s says what it does, which keys and arguments it takes and what it returns', (file) => {
    const text = readFileSync(new URL(file, folder), 'utf8');
    expect(text).toMatch(/^-- [A-Z]/);
    expect(text).toMatch(/^-- KEYS/m);
    expect(text).not.toMatch(/redis\.call\('(KEYS|SCAN|EVAL)/);
  });

  it('are named by the digest of their text, as the server names them', () => {
    for (const name of Object.keys(LUA) as ScriptName[]) expect(scriptNamed(name).sha).toMatch(/^[0-9a-f]{40}$/);
  });

  it.each([
    ['short texts', ['a', '', 'zażółć', '12']],
    ['long texts', ['x'.repeat(300), 'ż'.repeat(300), '🐢'.repeat(200), 'y'.repeat(256)]],
    ['both in turn', ['k', 'x'.repeat(1_000), 'ż', 'ą'.repeat(999), '', 'end']],
    ['a lone half of a character', ['\ud83d', `${'x'.repeat(300)}\ud83d`]],
  ])('are called with %s as the protocol wants them', (_, args) => {
    const written = new ScriptCommand('evalsha', [...args]).toWritable();
    const parts = ['evalsha', ...args].map((arg) => Buffer.from(arg));
    const expected = parts.map((part) => `$${part.length}\r\n${part.toString('latin1')}\r\n`).join('');
    expect(written.toString('latin1')).toBe(`*${parts.length}\r\n${expected}`);
  });
});
