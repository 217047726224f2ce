// The sending half of the two-process workloads.
import { openSide } from './open-side.mjs';

const spec = JSON.parse(process.env.SIDE);
const side = await openSide(spec);
// One clock for all processes of a machine; the origins of two processes' `performance` may be a millisecond apart.
const monotonic = () => Number(process.hrtime.bigint()) / 1e6;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

if (spec.workload === 'send-spaced') {
  // The instant of sending travels as the index, because that is what every side carries unchanged.
  await side.enqueue(-1);
  await sleep(500);
  for (let index = 0; index < spec.n; index += 1) {
    await sleep(15);
    await side.enqueueStamped(monotonic());
  }
} else if (spec.workload === 'send-steadily') {
  const until = performance.now() + (spec.warmUp + spec.seconds + 1) * 1_000;
  let next = 0;
  const lane = async () => {
    while (performance.now() < until) await side.enqueue(next++);
  };
  await Promise.all(Array.from({ length: 100 }, lane));
} else {
  const { leadMs = 4_000, windowMs = 10_000 } = spec;
  const first = Date.now() + leadMs;
  const items = Array.from({ length: spec.n }, (_, index) => ({
    index,
    at: first + Math.floor((index * windowMs) / spec.n),
  }));
  for (let from = 0; from < items.length; from += 500) await side.enqueueDelayed(items.slice(from, from + 500));
}
process.send({});
await Promise.race([side.close(), sleep(3_000)]);
process.exit(0);
