import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, expect, it } from 'vitest';

const CACHE = resolve('node_modules/.cache');
const NEST = resolve('node_modules/@nestjs/cli/bin/nest.js');

const MAIN = `
import { Module } from '@nestjs/common';
import { runWorker, TaskQueueModule } from '@taskqueue/nestjs';

@Module({ imports: [TaskQueueModule.forRoot()] })
class AppModule {}

await runWorker(AppModule);
`;
const COMPILER = {
  module: 'nodenext',
  target: 'es2023',
  outDir: 'dist',
  rootDir: 'src',
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  skipLibCheck: true,
  types: ['node'],
};

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A Nest project as the command line of Nest makes one, with a worker for its main. */
function project(): string {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'nest-start-'));
  folders.push(folder);
  mkdirSync(join(folder, 'src'));
  const files = {
    'package.json': { name: 'started', private: true, type: 'module' },
    'nest-cli.json': { sourceRoot: 'src', entryFile: 'main' },
    'tsconfig.json': { compilerOptions: COMPILER, include: ['src'] },
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), JSON.stringify(content));
  writeFileSync(join(folder, 'src/main.ts'), MAIN);
  return folder;
}

it('`nest start -- …` hands its arguments to the worker, and a signal ends it', async () => {
  const child = spawn(process.execPath, [NEST, 'start', '--', '-Q', 'mail,default', '-c', '3', '-n', 'w@nest'], {
    cwd: project(),
    env: { PATH: process.env['PATH'], TASKQUEUE_URL: 'memory:', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, which hears signals together as that of a terminal does.
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)));
  const exited = once(child, 'exit');
  try {
    await eventually(() => {
      expect(output).toContain('w@nest takes tasks from mail, default (concurrency 3)');
    }, 90_000);
    process.kill(-(child.pid as number), 'SIGINT');
    const [code] = (await exited) as [number | null];
    expect(code, output).toBe(0);
  } finally {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), 'SIGKILL');
  }
}, 120_000);
