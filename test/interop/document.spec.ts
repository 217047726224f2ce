import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** The titles of the cases, `%s` and `${…}` as `…`. */
const titles = new Set(
  readdirSync('test/interop')
    .filter((file) => file.endsWith('-scenarios.ts'))
    .flatMap((file) => [...readFileSync(`test/interop/${file}`, 'utf8').matchAll(TITLE())])
    .map((match) => (match[1] ?? match[2] ?? match[3] ?? '').replaceAll(/%s|\$\{[^}]*\}('s)?/g, '…')),
);

function TITLE(): RegExp {
  return /\b(?:it|it\.concurrent)(?:\.each\([\s\S]*?\]\s*(?:as const)?\s*\))?\(\s*(?:'([^'\n]+)'|"([^"\n]+)"|`([^`\n]+)`)/g;
}

describe('docs/celery.md', () => {
  it('claims nothing that no case of this name proves', () => {
    const text = readFileSync('docs/celery.md', 'utf8');
    const section = text.slice(text.indexOf('## What works'), text.indexOf('## What does not'));
    const claims = section
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
      .flatMap((line) => line.split('|').slice(2, -1))
      .map((cell) => cell.trim())
      .filter((cell) => cell !== '' && !/^(Python sends, Node runs|Node sends, Python runs)$/.test(cell));
    expect(claims.length).toBeGreaterThan(50);
    expect(claims.filter((claim) => !titles.has(claim))).toEqual([]);
  });
});
