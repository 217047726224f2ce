// One side doing one workload in a process of its own. Told what by SIDE (JSON), answers with one message.
import { openSide } from './open-side.mjs';

const spec = JSON.parse(process.env.SIDE);
const side = await openSide(spec);
const workloads = {
  async enqueueOne() {
    await side.enqueue(-1);
    return rate(spec.n, async () => {
      for (let index = 0; index < spec.n; index += 1) await side.enqueue(index);
    });
  },
  async enqueueFlying() {
    await side.enqueue(-1);
    let next = 0;
    const lane = async () => {
      while (next < spec.n) await side.enqueue(next++);
    };
    return rate(spec.n, () => Promise.all(Array.from({ length: 100 }, lane)));
  },
  async enqueueBulk() {
    await side.enqueue(-1);
    return rate(spec.n, () => fill(spec.n));
  },
  async fill() {
    await fill(spec.n);
    return {};
  },
  /** The backlog was filled before. Counts from the first task to the last. */
  async drain() {
    let done = 0;
    let first;
    let finish;
    const finished = new Promise((resolve) => (finish = resolve));
    const cpu = process.cpuUsage();
    await side.work(spec.concurrency, () => {
      first ??= performance.now();
      done += 1;
      if (done === spec.n) finish();
    });
    await finished;
    const seconds = (performance.now() - first) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    return { perSecond: spec.n / seconds, cpuMicros: (user + system) / spec.n };
  },
  /** Starts a worker and reports, for each task, how long after its instant it started. */
  async receive() {
    const late = [];
    let finish;
    const finished = new Promise((resolve) => (finish = resolve));
    await side.work(spec.concurrency, (data, at) => {
      if (data.index < 0) return;
      late.push(now() - (at ?? data.sent));
      if (late.length === spec.n) finish();
    });
    process.send('ready');
    await finished;
    late.sort((a, b) => a - b);
    return { p50: late[Math.floor(late.length * 0.5)], p99: late[Math.floor(late.length * 0.99)], max: late.at(-1) };
  },
  async idle() {
    await side.work(10, () => undefined);
    await sleep(1_000);
    const cpu = process.cpuUsage();
    const began = performance.now();
    await sleep(spec.seconds * 1_000);
    const { user, system } = process.cpuUsage(cpu);
    return { cpuPercent: (user + system) / 10 / (performance.now() - began) };
  },
};

const result = await workloads[spec.workload]();
process.send({ name: side.name, ...result });
await Promise.race([side.close(), sleep(3_000)]);
process.exit(0);

async function fill(n) {
  for (let from = 0; from < n; from += 500) {
    await side.enqueueBulk(Array.from({ length: Math.min(500, n - from) }, (_, index) => from + index));
  }
}

async function rate(n, work) {
  const began = performance.now();
  await work();
  return { perSecond: n / ((performance.now() - began) / 1000) };
}

function now() {
  return performance.timeOrigin + performance.now();
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
