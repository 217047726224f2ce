import type { ChildProcess, ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Debian's Python, which has Debian's Celery; undefined where there is none, and the set-up has said so. */
export const python = process.env['TEST_PYTHON_CELERY'];

/** The one that fits that Celery. */
export const dialect = dialectOf(python);

/** Where a Python process finds everything; see python/tasks.py. */
export interface PythonSurroundings {
  readonly broker: string;
  readonly results: string;
  readonly queue: string;
  readonly nodeQueue: string;
  readonly ledger: string;
}

/** What an exception was in Python. */
export class PythonError extends Error {
  constructor(
    readonly type: string,
    readonly module: string,
    readonly bases: readonly string[],
    readonly args: readonly unknown[],
    message: string,
  ) {
    super(message);
    this.name = type;
  }
}

const FOLDER = fileURLToPath(new URL('./python/', import.meta.url));
const START_MS = 30_000;
/** Lines of a process that are shown when it fails. */
const LINES_KEPT = 60;

/** A Python client in a process of its own. */
export class PythonClient {
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private last = 0;

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      this.waiting.get(answer.id)?.(answer);
      this.waiting.delete(answer.id);
    });
  }

  static async start(surroundings: PythonSurroundings, env: Record<string, string> = {}): Promise<PythonClient> {
    const child = launch(['client.py'], surroundings, env);
    await said(child, child.stdout, '"ready"');
    return new PythonClient(child);
  }

  /**
   * Runs Python there, with `given` as names, and gives the value of its last expression. Rejects with a PythonError.
   * Several may be under way.
   */
  run<T = unknown>(source: string, given: Readonly<Record<string, unknown>> = {}): Promise<T> {
    const id = ++this.last;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, ({ value, error }) => {
        if (error === undefined) resolve(value as T);
        else reject(new PythonError(error.type, error.module, error.bases, error.args, error.message));
      });
      this.child.stdin.write(`${JSON.stringify({ id, run: source, with: given })}\n`);
    });
  }

  async close(): Promise<void> {
    this.child.stdin.end();
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: {
    readonly type: string;
    readonly module: string;
    readonly bases: readonly string[];
    readonly args: readonly unknown[];
    readonly message: string;
  };
}

export interface PythonWorkerOptions {
  /** Default: that of the surroundings. */
  readonly queue?: string;
  /** Processes below it. Default 2. */
  readonly concurrency?: number;
  readonly env?: Record<string, string>;
  /** It tells what happens to it and its tasks, and hears what others tell. Default false. */
  readonly events?: boolean;
}

/** A worker of Celery's, with processes below it. */
export class PythonWorker {
  private constructor(private readonly child: ChildProcess) {}

  /** Resolves when it consumes. */
  static async start(
    surroundings: PythonSurroundings,
    { queue = surroundings.queue, concurrency = 2, env = {}, events = false }: PythonWorkerOptions = {},
  ): Promise<PythonWorker> {
    const args = ['-m', 'celery', '-A', 'tasks', 'worker', '-Q', queue, '-n', `${queue}@py`, '-l', 'INFO'];
    const quiet = events ? ['-E', '--without-mingle'] : ['--without-gossip', '--without-mingle', '--without-heartbeat'];
    const child = launch([...args, '-c', String(concurrency), ...quiet], surroundings, env);
    await said(child, child.stderr, ' ready.');
    return new PythonWorker(child);
  }

  /** Lets it finish what it runs. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }
}

/** `celery events --dump`: a line for each event. */
export class PythonDump {
  readonly lines: string[] = [];

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    createInterface({ input: child.stdout }).on('line', (line) => this.lines.push(line));
  }

  /** Resolves when it has started; it hears only a moment later. */
  static async start(surroundings: PythonSurroundings): Promise<PythonDump> {
    const child = launch(['-m', 'celery', '-A', 'tasks', 'events', '--dump'], surroundings);
    const dump = new PythonDump(child);
    await said(child, child.stdout, 'evdump: starting capture');
    return dump;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }
}

function launch(
  args: readonly string[],
  surroundings: PythonSurroundings,
  env: Record<string, string> = {},
): ChildProcessWithoutNullStreams {
  return spawn(python as string, ['-X', 'utf8', ...args], {
    cwd: FOLDER,
    env: {
      ...process.env,
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONUNBUFFERED: '1',
      C_FORCE_ROOT: '1',
      INTEROP_BROKER: surroundings.broker,
      INTEROP_RESULTS: surroundings.results,
      INTEROP_QUEUE: surroundings.queue,
      INTEROP_NODE: surroundings.nodeQueue,
      INTEROP_LEDGER: surroundings.ledger,
      ...env,
    },
  });
}

/** Resolves when the process has written `text`; rejects with what it wrote when it ends instead, or takes too long. */
async function said(child: ChildProcessWithoutNullStreams, stream: NodeJS.ReadableStream, text: string): Promise<void> {
  const lines: string[] = [];
  const keep = (chunk: unknown): void => {
    lines.push(...String(chunk).split('\n'));
    lines.splice(0, lines.length - LINES_KEPT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const failed = (why: string): Error => new Error(`Python ${why}:\n${lines.join('\n')}`);
  const timeout = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on('data', (chunk: unknown) => (String(chunk).includes(text) ? resolve() : undefined));
      child.once('exit', (code) => reject(failed(`ended with ${code}`)));
      child.once('error', (error) => reject(failed(error.message)));
    });
  } finally {
    clearTimeout(timeout);
  }
  child.stderr.on('data', (chunk: unknown) => {
    if (process.env['INTEROP_LOG'] !== undefined) process.stderr.write(String(chunk));
  });
}

function dialectOf(program: string | undefined): '5.2' | '5.6' {
  if (program === undefined) return '5.6';
  const version = spawnSync(program, ['-c', 'import celery; print(celery.__version__)'], { encoding: 'utf8' }).stdout;
  const [major, minor] = version.split('.').map(Number) as [number, number];
  return major * 100 + minor < 503 ? '5.2' : '5.6';
}
