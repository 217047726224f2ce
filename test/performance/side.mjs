// One side doing one workload in a process of its own. Told what by SIDE (JSON), answers with one message.
import { openSide } from './open-side.mjs';
import { countStatements } from './statements.mjs';

const spec = JSON.parse(process.env.SIDE);
const statements = spec.workload === 'idle' ? await countStatements(spec.url) : undefined;
const side = await openSide(spec);
const workloads = {
  /** So many calls in flight, for so long; the first part is warming up. */
  async enqueue() {
    let sent = 0;
    let stopped = false;
    const lane = async () => {
      while (!stopped) {
        await side.enqueue(sent);
        sent += 1;
        // A client that never waits for its event loop would starve the timer that ends this.
        if (sent % 50 === 0) await turn();
      }
    };
    const lanes = Array.from({ length: spec.lanes }, lane);
    await sleep(spec.warmUp * 1_000);
    const [before, began] = [sent, performance.now()];
    await sleep(spec.seconds * 1_000);
    const perSecond = (sent - before) / ((performance.now() - began) / 1_000);
    stopped = true;
    await Promise.all(lanes);
    return { perSecond };
  },
  async fill() {
    await side.enqueueBulk([-1]);
    const began = performance.now();
    for (let from = 0; from < spec.n; from += 500) {
      await side.enqueueBulk(Array.from({ length: Math.min(500, spec.n - from) }, (_, index) => from + index));
    }
    return { done: spec.n, perSecond: spec.n / ((performance.now() - began) / 1_000) };
  },
  /** The backlog was filled before. Counts from the first task to the last, or for as long as is allowed. */
  async drain() {
    let done = 0;
    let first;
    let last;
    let finish;
    const finished = new Promise((resolve) => (finish = resolve));
    const cpu = process.cpuUsage();
    await side.work(spec.concurrency, () => {
      first ??= performance.now();
      done += 1;
      last = performance.now();
      if (done === spec.n) finish();
    });
    await Promise.race([finished, sleep(spec.atMostSeconds * 1_000)]);
    if (done < 2) throw new Error('nothing was drained');
    const { user, system } = process.cpuUsage(cpu);
    return { done, perSecond: done / ((last - first) / 1_000), cpuMicros: (user + system) / done };
  },
  /** Starts a worker and reports, for each task, how long after its instant it started. */
  async receive() {
    const late = [];
    let finish;
    const finished = new Promise((resolve) => (finish = resolve));
    await side.work(spec.concurrency, (data, at) => {
      if (data.index < 0) return;
      late.push(at === undefined ? monotonic() - data.sent : now() - at);
      if (late.length === spec.n) finish();
    });
    process.send('ready');
    await finished;
    late.sort((a, b) => a - b);
    return { p50: late[Math.floor(late.length * 0.5)], p99: late[Math.floor(late.length * 0.99)], max: late.at(-1) };
  },
  /** Works while another process sends; counts what starts once it is warm. */
  async count() {
    let done = 0;
    await side.work(spec.concurrency, () => (done += 1));
    process.send('ready');
    while (done === 0) await sleep(10);
    await sleep(spec.warmUp * 1_000);
    const [before, began] = [done, performance.now()];
    await sleep(spec.seconds * 1_000);
    return { perSecond: (done - before) / ((performance.now() - began) / 1_000) };
  },
  async idle() {
    await side.work(10, () => undefined);
    // Until everything has started: what renews leases does so after a third of one, ten seconds.
    await sleep(spec.settle * 1_000);
    const [cpu, before, began] = [process.cpuUsage(), statements(), performance.now()];
    await sleep(spec.seconds * 1_000);
    const { user, system } = process.cpuUsage(cpu);
    const ms = performance.now() - began;
    return { cpuPercent: (user + system) / 10 / ms, statements: (statements() - before) / (ms / 1_000) };
  },
};

process.send(await workloads[spec.workload]());
await Promise.race([side.close(), sleep(3_000)]);
process.exit(0);

function now() {
  return performance.timeOrigin + performance.now();
}

/** One clock for all processes of a machine. */
function monotonic() {
  return Number(process.hrtime.bigint()) / 1e6;
}

function turn() {
  return new Promise((resolve) => setImmediate(resolve));
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
