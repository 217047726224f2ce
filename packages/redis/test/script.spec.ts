import { readdirSync, readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { LUA } from '../src/generated/lua.js';
import { scriptNamed } from '../src/redis-script.js';
import type { ScriptName } from '../src/redis-script.js';
import { ScriptCommand } from '../src/script-command.js';
import { redisUrl } from './namespace.js';

// oxlint-disable-next-line typescript/no-explicit-any -- a build script without types
const { compileModule } = (await import('../scripts/compile-lua.mjs' as any)) as { compileModule: () => string };
const sourceFolder = new URL('../src/', import.meta.url);
const folder = new URL('lua/', sourceFolder);
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

  it.skipIf(redisUrl === undefined)(
    'and all the rest call no command that a server of version 6.2 does not know',
    async () => {
      const sources = readdirSync(sourceFolder, { recursive: true, encoding: 'utf8' }).filter((file) =>
        /\.(ts|lua)$/.test(file),
      );
      const calls = sources.flatMap((file) => [
        ...readFileSync(new URL(file, sourceFolder), 'utf8').matchAll(
          /(?:redis\.p?call|\.command|sendCommand)\((?:client, )?'(\w+)'|\[\['(\w+)'/g,
        ),
      ]);
      const names = [...new Set(calls.map((call) => (call[1] ?? call[2] ?? '').toLowerCase()))];
      expect(names).toEqual(expect.arrayContaining(['rpop', 'smismember', 'bzpopmin', 'mget']));
      const client = new Redis(redisUrl as string);
      const docs = (await client.call('COMMAND', 'DOCS', ...names)) as (string | string[])[];
      client.disconnect();
      const since = names.map((name) => {
        const fields = docs[docs.indexOf(name) + 1] as string[];
        return `${name} ${fields[fields.indexOf('since') + 1]}`;
      });
      expect(since.filter((one) => !/ ([1-5]\.|6\.[0-2]\.)/.test(one))).toEqual([]);
    },
  );

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
