import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

/**
 * The servers that tests need: given by the environment (`TEST_POSTGRES_URL`), found on their default ports, or started
 * from installed binaries. What cannot be had is skipped and told loudly at the end, or, where services are required
 * (`CI` or `REQUIRE_SERVICES`), the run fails.
 */
export default async function setup(): Promise<() => void> {
  const postgres = await findPostgres();
  if (postgres.url === undefined) missing('PostgreSQL', 'everything marked [postgres]');
  else process.env['TEST_POSTGRES_URL'] = postgres.url;
  return () => postgres.stop();
}

interface Found {
  readonly url: string | undefined;
  stop(): void;
}

async function findPostgres(): Promise<Found> {
  const candidates = [process.env['TEST_POSTGRES_URL'], 'postgres://postgres@127.0.0.1:5432/postgres'];
  for (const url of candidates) {
    if (url !== undefined && (await answers(url))) return { url, stop: () => undefined };
  }
  return startPostgres();
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3_000 });
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** PostgreSQL refuses to run as root, so there it runs as the user `postgres`, which its package has made. */
async function startPostgres(): Promise<Found> {
  const bin = postgresBinaries();
  if (bin === undefined) return { url: undefined, stop: () => undefined };
  const folder = mkdtempSync(join(tmpdir(), 'taskqueue-postgres-'));
  const root = process.getuid?.() === 0;
  if (root) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })));
    chownSync(folder, uid as number, gid as number);
    chmodSync(folder, 0o700);
  }
  const run = (program: string, args: string[]): void => {
    const command = [join(bin, program), ...args];
    execFileSync(
      root ? 'runuser' : (command[0] as string),
      root ? ['-u', 'postgres', '--', ...command] : command.slice(1),
      {
        stdio: 'ignore',
        cwd: folder,
      },
    );
  };
  const data = join(folder, 'data');
  const port = await freePort();
  run('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8']);
  run('pg_ctl', ['-D', data, '-w', '-l', join(folder, 'log'), '-o', `-p ${port} -k ${folder} -h 127.0.0.1`, 'start']);
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    stop: () => {
      run('pg_ctl', ['-D', data, '-m', 'immediate', 'stop']);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function postgresBinaries(): string | undefined {
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

function missing(service: string, what: string): void {
  if (process.env['CI'] !== undefined || process.env['REQUIRE_SERVICES'] !== undefined) {
    throw new Error(`${service} is required here, and it was neither found nor could it be started.`);
  }
  const notes = process.env['TASKQUEUE_TEST_NOTES'];
  const line = `   ${service}: ${what}\n`;
  if (notes === undefined) process.stderr.write(line);
  else appendFileSync(join(notes, 'skipped.txt'), line);
}
