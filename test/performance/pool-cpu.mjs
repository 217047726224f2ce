// What a pool of processes costs on top of the work: 2,000 tasks of some 5 ms of hashing in two children, as tasks of a
// worker with `prefork`, and as messages of a bare `fork` loop. Prints both, and fails below 90 %. The times are those of
// a machine that does nothing else; where it does, look at the processor time a task took, which is printed beside.
//
//   node test/performance/pool-cpu.mjs [--tasks 2000] [--children 2] [--url redis://127.0.0.1:6379/9]
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as core from '@taskqueue/core';

const FILE = fileURLToPath(import.meta.url);
const port = core.takeChildPort();

if (port !== undefined) await serve(port);
else if (process.argv.includes('--bare-child')) bareChild();
else await compare();

/** The same work for both: so many rounds take 5 ms on a core that does nothing else. */
function hash(rounds) {
  let digest = Buffer.alloc(64);
  for (let round = 0; round < rounds; round += 1) digest = createHash('sha512').update(digest).digest();
  return digest.toString('hex');
}

function registry() {
  const tasks = new core.TaskRegistry();
  const definition = core.defineTask('hash');
  tasks.register({ definition, handler: core.plainHandler(definition, hash), source: 'hash' });
  return tasks;
}

async function serve(toWorker) {
  const { silentLogger: logger, systemClock: clock } = core;
  const host = new core.PoolHost({
    port: toWorker,
    registry: registry(),
    settings: core.validateSettings({}),
    logger,
    clock,
  });
  process.exit((await host.serve()) === 'left' ? 0 : 1);
}

function bareChild() {
  process.on('message', (rounds) => process.send(hash(rounds)));
  process.on('disconnect', () => process.exit(0));
  process.send('ready');
}

async function compare() {
  const { values } = parseArgs({
    options: {
      tasks: { type: 'string', default: '2000' },
      children: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '3' },
      url: { type: 'string' },
    },
  });
  const tasks = Number(values.tasks);
  const children = Number(values.children);
  const rounds = await calibrate(5, children);
  const shares = [];
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const bare = await measured((count) => bareLoop(count, children, rounds), tasks);
    const pool = await measured((count) => prefork(count, children, rounds, values.url), tasks);
    shares.push(pool.rate / bare.rate);
    console.log(
      `bare fork loop ${bare.rate.toFixed(0)}/s, ${bare.cpuMs.toFixed(2)} ms of processor a task;` +
        `  prefork -c ${children} ${pool.rate.toFixed(0)}/s, ${pool.cpuMs.toFixed(2)} ms:` +
        `  ${percent(pool.rate / bare.rate)} (by processor time ${percent(bare.cpuMs / pool.cpuMs)})`,
    );
  }
  const best = Math.max(...shares);
  console.log(`best of ${shares.length}: ${percent(best)}`);
  process.exit(best >= 0.9 ? 0 : 1);
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

/** The rate, and the processor time a task took in all processes, without what starting them took. */
async function measured(run, tasks) {
  const few = 20;
  const before = processorMs();
  await run(few);
  const between = processorMs();
  const rate = await run(tasks);
  return { rate, cpuMs: (processorMs() - between - (between - before)) / (tasks - few) };
}

/** Of this process and its children that have ended (Linux). */
function processorMs() {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return 10 * fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
}

/** How many rounds take a bare child so long, by processor time: others may use the machine, too. */
async function calibrate(ms, children) {
  const guess = 1_000;
  const { cpuMs } = await measured((count) => bareLoop(count, children, guess), 2_000);
  return Math.round((guess * ms) / cpuMs);
}

/** Tasks a second. */
async function bareLoop(tasks, children, rounds) {
  const all = Array.from({ length: children }, () => fork(FILE, ['--bare-child']));
  await Promise.all(all.map((child) => once(child, 'message')));
  let left = tasks;
  const began = performance.now();
  await Promise.all(
    all.map(async (child) => {
      while (left > 0) {
        left -= 1;
        child.send(rounds);
        await once(child, 'message');
      }
    }),
  );
  const rate = (1_000 * tasks) / (performance.now() - began);
  await Promise.all(all.map((child) => (child.disconnect(), once(child, 'exit'))));
  return rate;
}

/** Tasks a second, from the first start to the last result that is stored. */
async function prefork(tasks, children, rounds, url) {
  const { silentLogger: logger, systemClock: clock } = core;
  const driver = url === undefined ? core.memoryDriver() : await driverOf(url);
  await driver.connect({ logger });
  const stores = core.composeStores({ broker: driver });
  const queue = `pool-cpu-${process.pid}`;
  const settings = core.validateSettings({
    defaultQueue: queue,
    worker: { pool: 'prefork', concurrency: children, logTasks: false, queues: [queue] },
  });
  const all = registry();
  const sender = new core.TaskSender({ stores, registry: all, settings, clock });
  const program = { entry: FILE, argv: [] };
  const worker = new core.Worker({
    stores,
    registry: all,
    settings,
    logger,
    clock,
    random: () => 0.5,
    children: program,
  });
  let ended = 0;
  const done = core.deferred();
  worker.on(({ type }) => {
    if (type === 'task-succeeded' && (ended += 1) === tasks) done.resolve();
  });
  await worker.start();
  await warmUp();
  worker.pause();
  for (let sent = 0; sent < tasks; sent += 500) {
    await Promise.all(Array.from({ length: Math.min(500, tasks - sent) }, () => sender.sendTask('hash', [rounds])));
  }
  const began = performance.now();
  worker.resume();
  await done.promise;
  const rate = (1_000 * tasks) / (performance.now() - began);
  await worker.stop();
  await driver.close();
  return rate;
}

/** The first child makes a worker ready; here all of them have to be. */
async function warmUp() {
  await new Promise((resolve) => setTimeout(resolve, 2_000));
}

async function driverOf(url) {
  const name = url.startsWith('redis')
    ? '@taskqueue/redis'
    : url.startsWith('amqp')
      ? '@taskqueue/amqp'
      : '@taskqueue/typeorm';
  return (await import(name)).createDriver(url);
}
