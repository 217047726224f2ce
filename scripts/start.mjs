// Starts the storefront: builds, then runs API, worker and beat as three processes on an embedded SQLite file (or on
// DATABASE_URL), until Ctrl-C or SIGTERM. No process outlives this one: each watches its pipe to us.
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

const PROCESSES = ['api', 'worker', 'beat'];
const COLORS = { api: 36, worker: 32, beat: 35 };
/** After this a process that does not end is killed. The worker's own grace is 25 s. */
const KILL_AFTER_MS = 30_000;

function run(title, command, args) {
  console.log(`${title} …`);
  const { status } = spawnSync(command, args, { stdio: 'inherit', shell: process.platform === 'win32' });
  if (status !== 0) process.exit(status ?? 1);
}

function launch(name) {
  const child = spawn(process.execPath, ['--enable-source-maps', `dist/${name}/sample-app/src/${name}/main.js`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TASKQUEUE_WORKER_QUEUES: process.env.TASKQUEUE_WORKER_QUEUES ?? 'default,mail,images,reports' },
    // A group of its own, so that Ctrl-C reaches the children once, from us.
    detached: process.platform !== 'win32',
  });
  const label = process.stdout.isTTY ? `\u001b[${COLORS[name]}m${name.padEnd(6)}\u001b[0m` : name.padEnd(6);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => console.log(`${label} | ${line}`));
  }
  return child;
}

run('Building the packages', 'npx', ['tsc', '-b']);
run('Building api, worker and beat', 'npx', ['nest', 'build', ...PROCESSES]);

const children = new Map(PROCESSES.map((name) => [name, launch(name)]));
let stopping = false;
let code = 0;

function stop(signal) {
  if (stopping) console.log('Once more: not waiting for running tasks any longer.');
  else console.log(`Stopping (${signal}) …`);
  stopping = true;
  for (const child of children.values()) child.kill('SIGTERM');
  setTimeout(() => {
    for (const child of children.values()) child.kill('SIGKILL');
  }, KILL_AFTER_MS).unref();
}

for (const [name, child] of children) {
  child.on('exit', (exitCode, signal) => {
    children.delete(name);
    if (!stopping) {
      console.error(`${name} ended unexpectedly (${signal ?? `code ${exitCode}`}); stopping the others.`);
      code = exitCode || 1;
      stop('a process ended');
    } else if (exitCode !== 0) {
      code ||= exitCode ?? 1;
    }
    if (children.size === 0) process.exit(code);
  });
}
process.on('SIGINT', () => stop('SIGINT'));
process.on('SIGTERM', () => stop('SIGTERM'));
process.on('exit', () => {
  for (const child of children.values()) child.kill('SIGKILL');
});
