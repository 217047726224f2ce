// The benchmarks: `npm run bench` (all, with peers; half an hour), `npm run bench -- --quick` (one small pass of our own
// sides, so that the benchmarks cannot rot). `--only=postgres`, `--side=pg-boss`, `--column=drain` choose a part.
//
// Every number is a whole run in processes of its own on a fresh database. The sides of one column run one after another,
// so that a machine that grows slower harms them alike: what counts is the ratio between sides of one run.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { arch, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { columnsFor } from './columns.mjs';
import { postgresDatabases, rabbitmqDatabases, redisDatabases, sqliteDatabases } from './databases.mjs';
import { here, peerNode, runSide } from './processes.mjs';
import { Table } from './table.mjs';

const { values: chosen } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    side: { type: 'string' },
    column: { type: 'string' },
  },
});
const { quick } = chosen;
const peer = (side) => (quick ? [] : [side]);
const ours = (label, options) => ({ side: 'taskqueue', label, options });
const ownSides = [
  ours('taskqueue', { pipeline: 'nest' }),
  ours('taskqueue, without Nest', { pipeline: 'core' }),
  { ...ours('taskqueue, results kept', { pipeline: 'nest', ignoreResult: false }), keeps: true },
];
const KINDS = [
  {
    name: 'postgres',
    title: 'PostgreSQL',
    databases: postgresDatabases,
    sides: [
      ...ownSides,
      { side: 'raw-postgres', label: 'raw client (pg)', raw: true },
      ...peer({ side: 'pg-boss', label: 'pg-boss' }),
      ...peer({ side: 'graphile-worker', label: 'graphile-worker' }),
      ...peer({ side: 'graphile-worker', label: 'graphile-worker, tuned', options: { tuned: true } }),
    ],
  },
  {
    name: 'sqlite',
    title: 'SQLite',
    databases: sqliteDatabases,
    sides: [...ownSides, { side: 'raw-sqlite', label: 'raw client (SQLite)', raw: true }],
  },
  {
    name: 'redis',
    title: 'Redis',
    databases: redisDatabases,
    sides: [
      ...ownSides,
      { side: 'raw-redis', label: 'raw client (ioredis)', raw: true },
      ...peer({ side: 'bullmq', label: 'BullMQ' }),
      ...peer({ side: 'bullmq', label: 'BullMQ, jobs kept', options: { keep: true }, keeps: true }),
    ],
  },
  {
    name: 'rabbitmq',
    title: 'RabbitMQ',
    databases: rabbitmqDatabases,
    sides: [
      ...ownSides.slice(0, 2),
      { ...ours('taskqueue, results by rpc', { pipeline: 'nest', ignoreResult: false, results: 'rpc' }), keeps: true },
      { side: 'raw-rabbitmq', label: 'raw client (amqplib)', raw: true },
    ],
  },
];

if (!quick && !existsSync(peerNode)) {
  console.log('Installing the peers …');
  // Not `npm ci`: it takes an optional package that is for another platform, and so not in the lock file, for a mistake.
  spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });
}
const node = quick ? process.execPath : peerNode;
const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
console.log(`Node ${version}, ${cpus().length} × ${cpus()[0].model} (${arch()})`);

let failures = 0;
for (const kind of KINDS.filter(({ name }) => chosen.only === undefined || chosen.only === name)) {
  if (!(await kind.databases.answer())) {
    if (process.env.CI !== undefined) throw new Error(`${kind.title} is required here.`);
    console.log(`\n${kind.title} was not found: its benchmarks are left out.`);
    continue;
  }
  await benchmark(kind);
}
// A side of ours that fails is a failure of the run; a peer's is shown in the table.
process.exitCode = failures > 0 ? 1 : 0;

async function benchmark(kind) {
  console.log(`\n${kind.title}`);
  const table = new Table();
  const columns = columnsFor(quick, kind.name).filter(({ title }) => title.includes(chosen.column ?? ''));
  const sides = kind.sides.filter(({ label }) => label.startsWith(chosen.side ?? ''));
  for (const column of columns) {
    for (const side of sides.filter((one) => column.suits(one))) {
      table.put(side.label, column.title, await measure(kind, side, column));
    }
  }
  await kind.databases.close?.();
  table.print(`${kind.title}: tasks per second, unless said otherwise`);
}

async function measure(kind, side, column) {
  const database = await kind.databases.create();
  try {
    for (const before of column.before) await runSide({ side, url: database.url, node, spec: before });
    if (column.before.length > 0) await database.settle?.();
    const before = await database.usage?.();
    const answer = await runSide({ side, url: database.url, node, spec: column.spec });
    const after = await database.usage?.();
    for (const name of Object.keys(after ?? {})) answer[name] = after[name] - before[name];
    return column.show(answer);
  } catch (error) {
    if (side.side === 'taskqueue') failures += 1;
    console.error(String(error));
    return `failed: ${String(error).slice(0, 60)}`;
  } finally {
    await database.remove();
  }
}
