import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the programs of an installed PostgreSQL are, the newest first; undefined: none is installed. */
export const postgresBinaries: string | undefined = findBinaries();

/**
 * A PostgreSQL of a test's own, from the installed programs, which may be stopped and started at will. It refuses to run
 * as root, so there it runs as the user `postgres`, which its package has made.
 */
export class PostgresServer {
  private constructor(
    private readonly folder: string,
    private readonly port: number,
    readonly url: string,
  ) {}

  /** Made and running. */
  static async create(): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'taskqueue-postgres-'));
    if (isRoot) {
      const [uid, gid] = ['-u', '-g'].map((flag) =>
        Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })),
      );
      chownSync(folder, uid as number, gid as number);
      chmodSync(folder, 0o700);
    }
    const port = await freePort();
    const server = new PostgresServer(folder, port, `postgres://postgres@127.0.0.1:${port}/postgres`);
    await server.run('initdb', ['-D', server.data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8']);
    await server.start();
    return server;
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const options = `-p ${this.port} -k ${this.folder} -h 127.0.0.1`;
    await this.run('pg_ctl', ['-D', this.data, '-w', '-l', join(this.folder, 'log'), '-o', options, 'start']);
  }

  /** `immediate`: as in a crash, nothing is written any more. Resolves when it is gone. */
  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    await this.run('pg_ctl', ['-D', this.data, '-w', '-m', mode, 'stop']);
  }

  /** Ends it, whatever its state, and removes its data. */
  async remove(): Promise<void> {
    await this.stop('immediate').catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get data(): string {
    return join(this.folder, 'data');
  }

  private async run(program: string, args: readonly string[]): Promise<void> {
    const command = join(postgresBinaries as string, program);
    const [file, all]: [string, string[]] = isRoot
      ? ['runuser', ['-u', 'postgres', '--', command, ...args]]
      : [command, [...args]];
    // The server would keep a pipe open that it inherits, so it gets none.
    const child = spawn(file, all, { cwd: this.folder, stdio: 'ignore' });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with code ${code}`);
  }
}

const isRoot = process.getuid?.() === 0;

function findBinaries(): string | undefined {
  const base = '/usr/lib/postgresql';
  if (!existsSync(base)) return undefined;
  const versions = readdirSync(base).sort((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(base, version, 'bin')).find((folder) => existsSync(join(folder, 'initdb')));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
