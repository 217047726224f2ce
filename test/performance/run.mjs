// The benchmarks: `npm run bench` (all, with peers; minutes), `npm run bench -- --quick` (one small pass of our own
// sides, so that the benchmarks cannot rot). Every number is a whole run in processes of its own on a fresh database;
// what counts is the ratio between sides of one run.
import { fork, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { arch, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const here = fileURLToPath(new URL('.', import.meta.url));
const quick = process.argv.includes('--quick');
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice(7);
const postgres = process.env.TEST_POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/postgres';
const peerNode = join(here, 'node_modules/node/bin/node');
const scale = quick ? 0.05 : 1;
const count = (n) => Math.max(20, Math.round(n * scale));

if (!quick && !existsSync(peerNode)) {
  console.log('Installing the peers …');
  spawnSync('npm', ['ci'], { cwd: here, stdio: 'inherit' });
}

const ours = { side: 'taskqueue', options: { pipeline: 'nest' } };
const core = { side: 'taskqueue', options: { pipeline: 'core' } };
const kept = {
  side: 'taskqueue',
  label: 'taskqueue, results kept',
  options: { pipeline: 'nest', ignoreResult: false },
};
let failures = 0;
const labelOf = (side) =>
  side.label ?? `${side.side}${side.options === undefined ? '' : ` ${JSON.stringify(side.options)}`}`;
const SIDES = {
  postgres: [
    ours,
    core,
    kept,
    { side: 'raw-postgres' },
    ...(quick
      ? []
      : [{ side: 'pg-boss' }, { side: 'graphile-worker' }, { side: 'graphile-worker', options: { tuned: true } }]),
  ],
  sqlite: [ours, core, kept, { side: 'raw-sqlite' }],
};

console.log(
  `Node ${process.version}${quick ? '' : ` (all sides on the Node of test/performance: ${version(peerNode)})`}, ${cpus().length} × ${cpus()[0].model} (${arch()})`,
);
for (const kind of ['postgres', 'sqlite']) {
  if (only !== undefined && only !== kind) continue;
  if (kind === 'postgres' && !(await postgresAnswers())) {
    if (process.env.CI !== undefined) throw new Error('PostgreSQL is required here.');
    console.log('\nNo PostgreSQL found: its benchmarks are left out.');
    continue;
  }
  await benchmark(kind);
}

// A side of ours that fails is a failure of the run; a peer's is shown in the table.
process.exitCode = failures > 0 && quick ? 1 : 0;

async function benchmark(kind) {
  const table = new Map();
  const put = (side, column, value) => {
    const name = side.label ?? value.name;
    if (!table.has(name)) table.set(name, {});
    table.get(name)[column] = value.text;
  };
  const perSecond = (value) => ({ ...value, text: Math.round(value.perSecond).toLocaleString('en') });
  for (const side of SIDES[kind]) {
    const measure = async (column, before, spec, show = perSecond) => {
      const database = await create(kind);
      try {
        for (const one of before) await runSide(side, database.url, one);
        put(side, column, show(await runSide(side, database.url, spec)));
      } catch (error) {
        failures += 1;
        put(side, column, { name: labelOf(side), text: `failed: ${String(error).slice(0, 60)}` });
        console.error(`${labelOf(side)}, ${column}: ${String(error)}`);
      } finally {
        await database.remove();
      }
    };
    const isKept = side === kept;
    if (!isKept) {
      await measure('enqueue 1', [], { workload: 'enqueueOne', n: count(2_000) });
      await measure('enqueue 100 in flight', [], { workload: 'enqueueFlying', n: count(20_000) });
      await measure('bulk', [], { workload: 'enqueueBulk', n: count(20_000) });
    }
    for (const concurrency of [1, 10, 100]) {
      const n = count(concurrency === 1 ? 20_000 : 50_000);
      await measure(`drain c=${concurrency}`, [{ workload: 'fill', n }], { workload: 'drain', n, concurrency });
    }
    if (isKept || side.side.startsWith('raw')) continue;
    await measure('start p50/p99 ms', [], { workload: 'latency', n: count(300) }, (value) => ({
      ...value,
      text: `${value.p50.toFixed(1)} / ${value.p99.toFixed(1)}`,
    }));
    await measure('delayed late p50/p99 ms', [], { workload: 'delayed', n: count(20_000) }, (value) => ({
      ...value,
      text: `${Math.round(value.p50)} / ${Math.round(value.p99)}`,
    }));
    await measure('idle CPU %', [], { workload: 'idle', seconds: quick ? 1 : 5 }, (value) => ({
      ...value,
      text: value.cpuPercent.toFixed(1),
    }));
  }
  console.log(`\n${kind === 'postgres' ? 'PostgreSQL' : 'SQLite'}: tasks per second unless said otherwise`);
  console.table(Object.fromEntries(table));
  if (!quick) await backlog(kind);
}

/** Cost per task while the backlog grows: the rate of draining the first tasks of it. */
async function backlog(kind) {
  const row = {};
  for (const size of [1_000, 10_000, 100_000, 1_000_000]) {
    const database = await create(kind);
    await runSide(ours, database.url, { workload: 'fill', n: size });
    const n = Math.min(size, 20_000);
    const { perSecond, cpuMicros } = await runSide(ours, database.url, { workload: 'drain', n, concurrency: 10 });
    row[size.toLocaleString('en')] = `${Math.round(perSecond).toLocaleString('en')}/s, ${cpuMicros.toFixed(0)} µs CPU`;
    await database.remove();
  }
  console.log('Drain at concurrency 10 by size of the backlog');
  console.table({ taskqueue: row });
}

/** Two-process workloads are a receiver that says when it is ready, and a sender. */
async function runSide(side, url, spec) {
  if (spec.workload === 'latency') return twoProcesses(side, url, spec, 'send-spaced');
  if (spec.workload === 'delayed') return twoProcesses(side, url, spec, 'send-delayed');
  return child('side.mjs', side, url, spec).finished;
}

async function twoProcesses(side, url, spec, sender) {
  const receiver = child('side.mjs', side, url, { ...spec, workload: 'receive', concurrency: 10 });
  await receiver.ready;
  try {
    await child('sender.mjs', side, url, { ...spec, workload: sender }).finished;
    return await receiver.finished;
  } finally {
    receiver.kill();
  }
}

function child(program, side, url, spec) {
  const process_ = fork(join(here, program), {
    execArgv: [],
    ...(quick ? {} : { execPath: peerNode }),
    env: { ...process.env, NODE_OPTIONS: '', SIDE: JSON.stringify({ ...side, url, ...spec }) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let stderr = '';
  process_.stderr.on('data', (data) => (stderr += data));
  let isReady;
  const ready = new Promise((resolve) => (isReady = resolve));
  const finished = new Promise((resolve, reject) => {
    const timeout = setTimeout(() => process_.kill('SIGKILL'), 300_000);
    let answer;
    process_.on('message', (message) => (message === 'ready' ? isReady() : (answer = message)));
    process_.on('exit', (code) => {
      clearTimeout(timeout);
      isReady();
      if (answer === undefined) reject(new Error(`${program} ended with ${code}: ${stderr.slice(-300)}`));
      else resolve(answer);
    });
  });
  // Who awaits it hears of a failure; a receiver that is killed on purpose has nobody.
  finished.catch(() => undefined);
  return { ready, finished, kill: () => process_.kill('SIGKILL') };
}

async function create(kind) {
  if (kind === 'sqlite') {
    const folder = mkdtempSync(join(tmpdir(), 'taskqueue-bench-'));
    return {
      url: `sqlite:${join(folder, 'queue.sqlite')}`,
      remove: async () => rmSync(folder, { recursive: true, force: true }),
    };
  }
  const name = `taskqueue_bench_${randomUUID().slice(0, 8)}`;
  await admin(`create database "${name}"`);
  const url = new URL(postgres);
  url.pathname = `/${name}`;
  return { url: url.href, remove: () => admin(`drop database if exists "${name}" with (force)`) };
}

async function admin(statement) {
  const client = new pg.Client({ connectionString: postgres });
  await client.connect();
  await client.query(statement).finally(() => client.end());
}

async function postgresAnswers() {
  return admin('select 1').then(
    () => true,
    () => false,
  );
}

function version(node) {
  return spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim();
}
