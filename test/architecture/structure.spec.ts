import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { VERSION } from '@taskqueue/core';
import { describe, expect, it } from 'vitest';

const packages = readdirSync('packages').sort();
const manifest = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8')) as Record<string, unknown>;
const sources = readdirSync('.', { recursive: true, encoding: 'utf8' }).filter((file) =>
  /^(packages\/[^/]+|sample-app)\/src\/.*\.ts$/.test(file),
);

describe('the structure', () => {
  it('has no folder for kinds of things', () => {
    expect(sources.filter((file) => /\/(utils?|helpers?|common|types|interfaces|lib)\//.test(file))).toEqual([]);
  });

  it('has no default export and no `export *`', () => {
    const offending = sources.filter((file) => /^export (default|\*)/m.test(readFileSync(file, 'utf8')));
    expect(offending).toEqual([]);
  });

  it('keeps time and chance in ambient and async, in core', () => {
    const allowed =
      /packages\/core\/src\/(ambient|async|testing|conformance)\/|packages\/core\/src\/worker\/lease-thread\.ts/;
    const hidden = sources
      .filter((file) => file.startsWith('packages/core/src/') && !allowed.test(file))
      .filter((file) =>
        /\b(Date\.now|Math\.random|performance\.now|setTimeout|setInterval)\(/.test(readFileSync(file, 'utf8')),
      );
    expect(hidden).toEqual([]);
  });

  it('reads task metadata in one place', () => {
    const readers = sources.filter((file) =>
      /getMetadata\(TASK_(METADATA|HOST_METADATA)/.test(readFileSync(file, 'utf8')),
    );
    expect(readers.length).toBeLessThanOrEqual(2);
    expect(readers).toContain('packages/nestjs/src/discovery/task-metadata.accessor.ts');
  });

  it('says nothing of the machine it was made on', () => {
    const texts = [
      ...sources,
      ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.md'))
        .map((file) => `docs/${file}`),
      'README.md',
      'ARCHITECTURE.md',
    ];
    expect(texts.filter((file) => /\/(home|root|work|tmp\/[a-z])\//.test(readFileSync(file, 'utf8')))).toEqual([]);
  });
});

describe('the packages', () => {
  it.each(packages)('%s is uniform', (name) => {
    const own = manifest(name);
    expect(own).toMatchObject({
      name: `@taskqueue/${name}`,
      version: '0.1.0',
      license: 'MIT',
      type: 'module',
      engines: { node: '>=20.19.0' },
      publishConfig: { access: 'public' },
      scripts: { build: 'tsc -b' },
    });
    for (const file of ['README.md', 'LICENSE', 'tsconfig.json'])
      expect(existsSync(`packages/${name}/${file}`), file).toBe(true);
    for (const [path, target] of Object.entries(own['exports'] as Record<string, Record<string, string>>)) {
      if (path === './package.json') continue;
      expect(Object.keys(target)).toEqual(['@taskqueue/source', 'types', 'default']);
    }
  });

  it('tell the version that they have', () => {
    expect(VERSION).toBe(manifest('core')['version']);
  });

  it('core depends on nothing of Nest, and drivers on core only', () => {
    for (const name of packages) {
      const { dependencies = {}, peerDependencies = {} } = manifest(name) as Record<string, Record<string, string>>;
      const all = Object.keys({ ...dependencies, ...peerDependencies });
      if (name !== 'nestjs')
        expect(
          all.filter((one) => one.startsWith('@nestjs/')),
          name,
        ).toEqual([]);
      expect(
        all.filter((one) => one.startsWith('@taskqueue/')),
        name,
      ).toEqual(name === 'core' ? [] : ['@taskqueue/core']);
    }
  });
});
