import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Type } from '@nestjs/common';
import { ConfigurationError } from '@taskqueue/core';

/** Where the application's root module is: a compiled file and, behind `#`, the name of its export. */
export interface ModuleReference {
  readonly file: string;
  readonly exported: string | undefined;
  /** How it was given, for messages. */
  readonly text: string;
}

/** What Nest notes at a class of what its `@Module` says. Of an empty one it notes nothing. */
const MODULE_MARKS = ['imports', 'providers', 'controllers', 'exports'];

/** What `--app` names, or `taskqueue.app` of the nearest package.json that has it; undefined: neither is given. */
export function findModule(option: string | undefined, folder = process.cwd()): ModuleReference | undefined {
  return option === undefined ? fromManifest(folder) : reference(option, folder, '--app');
}

/**
 * Loads it. Without a name it is the export `AppModule`, else the only module in the file. Rejects with a
 * ConfigurationError when it is not there.
 */
export async function loadModule({ file, exported, text }: ModuleReference): Promise<Type<unknown>> {
  if (!existsSync(file)) throw noModule(text, 'a file that exists', file, 'Build the application first.');
  const loaded = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  // Of a CommonJS file, what it exports may be in its default only.
  const inner = loaded['default'];
  const exports = typeof inner === 'object' && inner !== null ? { ...inner, ...loaded } : loaded;
  const modules = Object.entries(exports).filter(([, value]) => isModule(value));
  const name = exported ?? ('AppModule' in exports ? 'AppModule' : undefined);
  const found = name === undefined ? only(modules) : (exports as Record<string, unknown>)[name];
  if (isClass(found)) return found;
  const names = modules.map(([one]) => one).join(', ');
  const remedy = names === '' ? 'It exports no module.' : `Its modules are: ${names}.`;
  throw noModule(text, 'a file, and # with the name of an exported module', exported ?? file, remedy);
}

function fromManifest(start: string): ModuleReference | undefined {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    const app = existsSync(manifest) ? appOf(manifest) : undefined;
    if (app !== undefined) return reference(app, folder, `taskqueue.app of ${manifest}`);
    if (dirname(folder) === folder) return undefined;
  }
}

function appOf(manifest: string): string | undefined {
  const { taskqueue } = JSON.parse(readFileSync(manifest, 'utf8')) as { taskqueue?: { app?: unknown } };
  const app = taskqueue?.app;
  if (app === undefined || (typeof app === 'string' && app !== '')) return app;
  throw noModule(`taskqueue.app of ${manifest}`, 'text such as "dist/app.module.js"', app);
}

function reference(text: string, folder: string, from: string): ModuleReference {
  const mark = text.lastIndexOf('#');
  const [file, exported] = mark === -1 ? [text, undefined] : [text.slice(0, mark), text.slice(mark + 1)];
  return { file: resolve(folder, file), exported, text: `${from} ${text}` };
}

function isModule(value: unknown): value is Type<unknown> {
  return isClass(value) && MODULE_MARKS.some((mark) => Reflect.hasMetadata(mark, value));
}

function isClass(value: unknown): value is Type<unknown> {
  return typeof value === 'function';
}

function only(modules: readonly (readonly [string, unknown])[]): unknown {
  const distinct = new Set(modules.map(([, value]) => value));
  return distinct.size === 1 ? [...distinct][0] : undefined;
}

function noModule(path: string, expected: string, value: unknown, remedy?: string): ConfigurationError {
  return new ConfigurationError([{ path, expected, value, ...(remedy === undefined ? {} : { remedy }) }]);
}
