import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Is Redis installed? */
export const redisIsInstalled = spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0;

/**
 * A Redis of a test's own, from the installed program, which may be stopped, killed, frozen and started at will.
 * Without further options it keeps nothing on disk.
 */
export class RedisServer {
  private process: ChildProcess | undefined;

  private constructor(
    readonly folder: string,
    readonly port: number,
    private readonly options: readonly string[],
  ) {}

  /** Made and running. `options` as on the command line: `'--maxmemory', '8mb'`. */
  static async create(options: readonly string[] = []): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'taskqueue-redis-'));
    const server = new RedisServer(folder, await freePort(), options);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  /**
   * On its port and its files, with further options, which win. Resolves when it answers; with `loading`, as soon as it
   * says that it reads its files.
   */
  async start(extra: readonly string[] = [], until: 'ready' | 'loading' = 'ready'): Promise<void> {
    const fixed = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder, '--save', ''];
    const child = spawn('redis-server', [...fixed, ...this.options, ...extra], { stdio: 'ignore' });
    this.process = child;
    const deadline = Date.now() + 30_000;
    const wanted = until === 'ready' ? SERVES : /^-LOADING/;
    while (!wanted.test(await answerToPing('127.0.0.1', this.port))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error('redis-server did not start');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Speaks TLS too, until it is started anew. Answers on which port. */
  async openTls(files: { readonly cert: string; readonly key: string }): Promise<number> {
    const port = await freePort();
    const settings = ['tls-cert-file', files.cert, 'tls-key-file', files.key, 'tls-auth-clients', 'no'];
    const command = ['CONFIG', 'SET', ...settings, 'tls-port', String(port)];
    await ask(this.port, command.map((word) => `"${word}"`).join(' '));
    return port;
  }

  /** `SIGKILL`: as in a crash; `SIGSTOP` and `SIGCONT` freeze and thaw it. Resolves when it is gone, if it ends. */
  async signal(signal: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    if (signal === 'SIGTERM' || signal === 'SIGKILL') await exited;
  }

  /** Ends it, whatever its state, and removes its data. */
  async remove(): Promise<void> {
    await this.signal('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Does a Redis listen there? One that wants a password counts, one that still reads its data does not. */
export async function answersPing(host: string, port: number): Promise<boolean> {
  return SERVES.test(await answerToPing(host, port));
}

/** A port that is free, and so is the one 10,000 above it, which a node of a cluster takes too. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address !== 'object' || address === null) reject(new Error('no port'));
        else resolve(address.port < HIGHEST_PORT - 10_000 ? address.port : freePort());
      });
    });
  });
}

const HIGHEST_PORT = 65_535;
const SERVES = /^(\+PONG|-NOAUTH)/;

/** Empty where nobody answers. */
function answerToPing(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (answer: string): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(3_000, () => done(''));
    socket.on('error', () => done(''));
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (data) => done(data.toString()));
  });
}

/** Sends one command, and rejects unless it is answered `OK`. */
function ask(port: number, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', reject);
    socket.on('connect', () => socket.write(`${command}\r\n`));
    socket.on('data', (data) => {
      socket.destroy();
      if (data.toString().startsWith('+OK')) resolve();
      else reject(new Error(data.toString()));
    });
  });
}
