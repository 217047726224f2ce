import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A child that runs one of the fixtures on the built package, and what it says. */
export interface Child {
  readonly process: ChildProcess;
  readonly messages: Record<string, unknown>[];
  /** Resolves at the next message of this type, past ones included. */
  message(type: string): Promise<Record<string, unknown>>;
  readonly exited: Promise<void>;
}

export function startChild(fixture: string, ...args: string[]): Child {
  if (!existsSync(new URL('../dist/index.js', import.meta.url))) {
    throw new Error('This test forks the built package: run `npx tsc -b packages/core packages/typeorm` first.');
  }
  const child = fork(fileURLToPath(new URL(`./fixtures/${fixture}.mjs`, import.meta.url)), args, {
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const messages: Record<string, unknown>[] = [];
  const waiting: { type: string; resolve: (message: Record<string, unknown>) => void }[] = [];
  child.on('message', (message) => {
    const received = message as Record<string, unknown>;
    messages.push(received);
    for (const one of waiting.filter(({ type }) => type === received['type'])) one.resolve(received);
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    process: child,
    messages,
    exited,
    message: (type) => {
      const known = messages.find((one) => one['type'] === type);
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((resolve, reject) => {
        waiting.push({ type, resolve });
        void exited.then(() => reject(new Error(`the child ended before it said ${type}`)));
      });
    },
  };
}
