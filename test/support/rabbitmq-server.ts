import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** Debian's command in the path changes the user and the folders; the one behind it does not. */
const FOLDERS = ['/usr/lib/rabbitmq/bin', ...(process.env['PATH'] ?? '').split(delimiter)];
const binaries = FOLDERS.find((folder) => existsSync(join(folder, 'rabbitmq-server')));

/** Is RabbitMQ installed? */
export const rabbitmqIsInstalled = binaries !== undefined;

const START_MS = 60_000;

/** A RabbitMQ of a test's own, from the installed program, which may be stopped, killed, starved and started at will. */
export class RabbitmqServer {
  private process: ChildProcess | undefined;

  private constructor(
    readonly folder: string,
    readonly port: number,
    private readonly distributionPort: number,
    private readonly managementPort: number,
    private readonly settings: readonly string[],
    private readonly plugins: readonly string[],
  ) {}

  /** Made and running. `settings` are lines of rabbitmq.conf. */
  static async create(settings: readonly string[] = [], plugins: readonly string[] = []): Promise<RabbitmqServer> {
    const folder = mkdtempSync(join(tmpdir(), 'taskqueue-rabbitmq-'));
    const [port, distribution, management] = [await freePort(), await freePort(), await freePort()];
    const server = new RabbitmqServer(folder, port, distribution, management, settings, plugins);
    await server.start();
    return server;
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}/`;
  }

  /** Of the plugin `rabbitmq_management`, where it was asked for. */
  get managementUrl(): string {
    return `http://guest:guest@127.0.0.1:${this.managementPort}/`;
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const fixed = [
      `listeners.tcp.1 = 127.0.0.1:${this.port}`,
      'log.console = false',
      'total_memory_available_override_value = 2GB',
      ...(this.plugins.includes('rabbitmq_management') ? [`management.tcp.port = ${this.managementPort}`] : []),
    ];
    writeFileSync(join(this.folder, 'rabbitmq.conf'), [...fixed, ...this.settings, ''].join('\n'));
    writeFileSync(join(this.folder, 'plugins'), `[${this.plugins.join(', ')}].\n`);
    const child = spawn(join(binaries ?? '', 'rabbitmq-server'), {
      stdio: 'ignore',
      env: this.environment,
      detached: true,
    });
    this.process = child;
    const deadline = Date.now() + START_MS;
    while (!(await answersAmqp('127.0.0.1', this.port))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`rabbitmq-server did not start: see ${this.folder}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** `rabbitmqctl` on this server. Rejects when it says no. */
  async control(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(join(binaries ?? '', 'rabbitmqctl'), [...args], {
      env: this.environment,
    });
    return stdout;
  }

  /** As in a crash. Resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    // The server is a child of the script.
    process.kill(-child.pid, 'SIGKILL');
    await exited;
  }

  /** Ends it, whatever its state, and removes its data. */
  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get environment(): NodeJS.ProcessEnv {
    const { folder } = this;
    return {
      PATH: process.env['PATH'],
      LANG: 'C.UTF-8',
      HOME: folder,
      RABBITMQ_NODENAME: `taskqueue-${this.port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(this.port),
      RABBITMQ_DIST_PORT: String(this.distributionPort),
      RABBITMQ_MNESIA_BASE: join(folder, 'data'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
      RABBITMQ_CONF_ENV_FILE: join(folder, 'none'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
      RABBITMQ_PID_FILE: join(folder, 'pid'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none',
    };
  }
}

/** Does an AMQP 0-9-1 broker listen there? */
export function answersAmqp(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(3_000, () => done(false));
    socket.on('error', () => done(false));
    socket.on('close', () => done(false));
    socket.on('connect', () => socket.write(Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1])));
    // The first frame of a broker is a method on channel 0.
    socket.on('data', (data) => done(data[0] === 1 && data.readUInt16BE(1) === 0));
  });
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
