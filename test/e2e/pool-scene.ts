import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TaskClient, TaskQueueModule } from '@taskqueue/nestjs';
import type { TaskHandle } from '@taskqueue/nestjs';
import { silentLogger } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';

const PROGRAM = join(import.meta.dirname, 'pool-program.mjs');
export const GET = { timeout: '25s' } as const;

const opened: PoolScene[] = [];

/** Ends all that were opened. */
export async function closeScenes(): Promise<void> {
  await Promise.all(opened.splice(0).map((scene) => scene.close()));
}

/** A worker in a process of its own on an SQLite file of its own, and the client of another process. */
export class PoolScene {
  output = '';
  private readonly exited: Promise<unknown[]>;
  private constructor(
    readonly folder: string,
    readonly worker: ChildProcess,
    readonly app: INestApplicationContext,
  ) {
    this.exited = once(worker, 'exit');
    for (const stream of [worker.stdout, worker.stderr]) stream?.on('data', (data) => (this.output += String(data)));
  }

  static open(args: readonly string[], env: Record<string, string> = {}, flags: string[] = []): Promise<PoolScene> {
    return PoolScene.start(mkdtempSync(join(tmpdir(), 'pools-')), args, env, flags);
  }

  /** One more worker on the same file. */
  another(args: readonly string[]): Promise<PoolScene> {
    return PoolScene.start(this.folder, args, {}, []);
  }

  private static async start(
    folder: string,
    args: readonly string[],
    env: Record<string, string>,
    flags: readonly string[],
  ): Promise<PoolScene> {
    const url = `sqlite:${join(folder, 'queue.sqlite')}`;
    class ClientModule {}
    Module({ imports: [TaskQueueModule.forRoot({ driver: url, logger: silentLogger })] })(ClientModule);
    const app = await NestFactory.createApplicationContext(ClientModule, { logger: false });
    const worker = spawn(process.execPath, [...flags, PROGRAM, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        NO_COLOR: '1',
        TASKQUEUE_URL: url,
        TASKQUEUE_WORKER_LEASE: '4s',
        SECRET: 'x',
        TEST_BOOTS_WHILE: PROGRAM,
        TEST_SPINNERS: join(folder, 'spinners'),
        TASKQUEUE_WORKER_CHILD_ENVIRONMENT: 'TEST_*',
        ...env,
      },
    });
    const scene = new PoolScene(folder, worker, app);
    opened.push(scene);
    return scene;
  }

  async runs(): Promise<this> {
    await this.says('the worker consumes');
    return this;
  }

  says(text: string): Promise<void> {
    return eventually(() => {
      if (!this.output.includes(text)) throw new Error(`not said yet: ${text}\n${this.output}`);
    }, 25_000);
  }

  send(task: string, args: readonly unknown[] = [], headers: Record<string, unknown> = {}): Promise<TaskHandle<any>> {
    return this.app.get(TaskClient).sendTask(`Tasks.${task}`, args, {}, { headers });
  }

  async run<T = unknown>(task: string, args: readonly unknown[] = []): Promise<T> {
    return (await this.send(task, args)).get(GET) as Promise<T>;
  }

  /** Children of the worker that are processes, by the system's own account. */
  children(): number[] {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.map(Number).filter((pid) => statusOf(pid)['PPid'] === String(this.worker.pid) && alive(pid));
  }

  async exitCode(): Promise<unknown> {
    const [code, signal] = await this.exited;
    return code ?? signal;
  }

  async close(): Promise<void> {
    this.worker.kill('SIGKILL');
    await this.exited;
    await this.app.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What the system says of a process; nothing when it is not there. */
function statusOf(pid: number): Record<string, string> {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
    return Object.fromEntries(lines.map((line) => line.split(/:\s+/, 2) as [string, string]));
  } catch {
    return {};
  }
}

/** One whose end nobody has read is dead. */
export function alive(pid: number): boolean {
  const { State: state } = statusOf(pid);
  return state !== undefined && !state.startsWith('Z');
}
