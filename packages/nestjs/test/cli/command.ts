import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** The fixture's application. */
export const APP = fileURLToPath(new URL('fixtures/app.module.mjs', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The built command line as a process of its own. */
export class CommandProcess {
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;
  private readonly closed: Promise<unknown[]>;
  private readonly waiting: (() => void)[] = [];

  constructor(
    args: readonly string[],
    options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string },
  ) {
    this.child = spawn(process.execPath, [BIN, ...args], {
      env: { PATH: process.env['PATH'], NO_COLOR: '1', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.closed = once(this.child, 'close');
    this.child.stdout?.on('data', (data) => this.changed(() => (this.stdout += String(data))));
    this.child.stderr?.on('data', (data) => this.changed(() => (this.stderr += String(data))));
  }

  async says(text: string): Promise<void> {
    const gone = this.closed.then(() => {
      throw new Error(`It ended and never said "${text}".\n${this.stdout}\n${this.stderr}`);
    });
    while (!this.stdout.includes(text) && !this.stderr.includes(text)) {
      await Promise.race([gone, new Promise<void>((resolve) => this.waiting.push(resolve))]);
    }
    gone.catch(() => undefined);
  }

  async ended(): Promise<Ended> {
    const [code] = (await this.closed) as [number | null];
    return { code, stdout: this.stdout, stderr: this.stderr };
  }

  /** From now on nobody reads what it prints. */
  closeOutput(): void {
    this.child.stdout?.destroy();
    this.child.stderr?.destroy();
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  private changed(change: () => void): void {
    change();
    for (const wake of this.waiting.splice(0)) wake();
  }
}
