// Starts the storefront: builds, then runs API, worker and beat as three processes on an embedded SQLite file (or on
// DATABASE_URL), until Ctrl-C or SIGTERM. No process outlives this one: each has a channel to it, and ends when that
// closes, so also when this one is killed.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const PROCESSES = ['api', 'worker', 'beat'];
const COLORS = { api: 36, worker: 32, beat: 35 };
/** After this a process that does not end is killed. The worker's own grace is 25 s. */
const KILL_AFTER_MS = 30_000;
/** The same signal again within this time is the same wish. */
const TWICE_WITHIN_MS = 500;
/** How often we look whether npm is still there. */
const LOOK_FOR_NPM_MS = 250;

const children = new Map();
let stoppedAt;
let code = 0;

function stop(why) {
  const now = performance.now();
  // A terminal tells Ctrl-C to everyone, and npm tells it to us again.
  if (stoppedAt !== undefined && now - stoppedAt < TWICE_WITHIN_MS) return;
  if (stoppedAt === undefined) setTimeout(() => signalAll('SIGKILL'), KILL_AFTER_MS).unref();
  console.log(stoppedAt === undefined ? `Stopping (${why}) …` : 'Once more: not waiting for running tasks any longer.');
  stoppedAt = now;
  signalAll('SIGTERM');
}

/** npm hands SIGTERM to the shell between it and us, and that shell dies without a word to us. */
function endWithNpm() {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop('npm has ended');
  }, LOOK_FOR_NPM_MS);
  timer.unref();
}

function signalAll(signal) {
  for (const child of children.values()) child.kill(signal);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(signal));
process.on('exit', () => signalAll('SIGKILL'));
if (process.env.npm_lifecycle_event !== undefined) endWithNpm();

/** Runs a tool of this workspace to its end. */
function run(title, script, args) {
  console.log(`${title} …`);
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.set(script, child);
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.on('exit', (exitCode) => {
      children.delete(script);
      if (stoppedAt !== undefined) process.exit(0);
      if (exitCode === 0) return resolve();
      console.error(output);
      process.exit(exitCode || 1);
    });
  });
}

const environment = {
  ...process.env,
  TASKQUEUE_WORKER_QUEUES: process.env.TASKQUEUE_WORKER_QUEUES ?? 'default,mail,images,reports',
  // Their output goes through a pipe, so that they cannot see where it ends.
  ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }),
};

function launch(name) {
  const child = spawn(process.execPath, ['--enable-source-maps', `dist/${name}/sample-app/src/${name}/main.js`], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: environment,
    // A group of its own, so that Ctrl-C reaches the children once, from us.
    detached: process.platform !== 'win32',
  });
  children.set(name, child);
  const label = process.stdout.isTTY ? `\u001b[${COLORS[name]}m${name.padEnd(6)}\u001b[0m` : name.padEnd(6);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => console.log(`${label} | ${line}`));
  }
  child.on('exit', (exitCode, signal) => ended(name, exitCode, signal));
}

function ended(name, exitCode, signal) {
  children.delete(name);
  if (exitCode !== 0) code ||= exitCode ?? 1;
  if (stoppedAt === undefined) {
    console.error(`${name} ended unexpectedly (${signal ?? `code ${exitCode}`}).`);
    code ||= 1;
    stop('a process ended');
  }
  if (children.size === 0) process.exit(code);
}

// Side by side: the second needs no types of the first.
await Promise.all([
  run('Building the packages', 'node_modules/typescript/bin/tsc', ['-b']),
  run('Building api, worker and beat', 'node_modules/@nestjs/cli/bin/nest.js', ['build', ...PROCESSES]),
]);
for (const name of PROCESSES) launch(name);
