// What is measured. A column is a workload (see side.mjs), what has to be done before, and how its answer is shown.

const number = (value) => Math.round(value).toLocaleString('en');
const perSecond = (answer) => number(answer.perSecond);
const inMs = (answer) => `${answer.p50.toFixed(1)} / ${answer.p99.toFixed(1)}`;

/** A quick pass only shows that everything works: each workload once, and each side of ours in one of them. */
export function columnsFor(quick, kind) {
  const count = (n) => (quick ? Math.max(20, Math.round(n / 20)) : n);
  const seconds = quick ? 0.3 : 4;
  // So many that a start is not what is measured: the quicker stores hand out 50,000 within a second.
  const backlog = count(kind === 'postgres' || kind === 'rabbitmq' ? 50_000 : 200_000);
  const any = () => true;
  const enqueuing = (side) => side.keeps !== true;
  const draining = (side) => side.keeps !== true && side.raw !== true;
  const enqueue = (title, lanes) => ({
    title,
    spec: { workload: 'enqueue', lanes, warmUp: seconds / 4, seconds },
    show: perSecond,
    suits: enqueuing,
  });
  const drain = (title, n, concurrency, suits, show = perSecond) => ({
    title,
    before: [{ workload: 'fill', n }],
    spec: { workload: 'drain', n: Math.min(n, backlog), concurrency, atMostSeconds: 20 },
    show,
    suits,
  });
  const withCost = (answer) => `${perSecond(answer)}, ${answer.cpuMicros.toFixed(0)} µs`;
  const backlogs = (quick ? [1_000] : [1_000, 10_000, 100_000, 1_000_000]).map((n) =>
    drain(`backlog ${number(n)}: rate, client CPU a task`, n, 10, (side) => side.label === 'taskqueue', withCost),
  );
  return [
    enqueue('enqueue, one by one', 1),
    enqueue('enqueue, 100 in flight', 100),
    { title: 'enqueue, in bulk', spec: { workload: 'fill', n: count(100_000) }, show: perSecond, suits: enqueuing },
    ...(quick ? [] : [drain('drain, concurrency 1', backlog, 1, any)]),
    { ...drain('drain, concurrency 10', backlog, 10, any), everySide: true },
    ...(quick ? [] : [drain('drain, concurrency 100', backlog, 100, any)]),
    {
      title: 'producer and worker at once',
      spec: { workload: 'together', concurrency: 10, warmUp: seconds / 4, seconds },
      show: perSecond,
      suits: enqueuing,
    },
    {
      title: 'enqueue to start, idle, p50 / p99 ms',
      spec: { workload: 'spaced', n: count(300), concurrency: 10 },
      show: inMs,
      suits: draining,
    },
    {
      title: '20,000 falling due in 10 s, late by p50 / p99 ms',
      spec: {
        workload: 'delayed',
        n: count(20_000),
        concurrency: 10,
        ...(quick ? { leadMs: 1_000, windowMs: 1_000 } : {}),
      },
      show: inMs,
      suits: draining,
    },
    {
      title: 'idle worker, CPU % / statements a second',
      spec: { workload: 'idle', settle: quick ? 1 : 15, seconds: quick ? 1 : 10 },
      show: (answer) => `${answer.cpuPercent.toFixed(1)} / ${answer.statements.toFixed(1)}`,
      suits: draining,
    },
    {
      ...drain('Redis commands a task, drain at concurrency 10', count(50_000), 10, any, (answer) =>
        (answer.commands / answer.done).toFixed(2),
      ),
      kinds: ['redis'],
    },
    {
      title: 'memory a queued message, bytes',
      spec: { workload: 'fill', n: count(20_000) },
      show: (answer) => number(answer.bytes / answer.done),
      suits: draining,
      kinds: ['redis'],
    },
    ...backlogs,
  ]
    .filter(({ kinds }) => kinds === undefined || kinds.includes(kind))
    .map((column) => ({ before: [], ...column }))
    .map((column) =>
      quick && column.everySide !== true
        ? { ...column, suits: (side) => column.suits(side) && (side.label === 'taskqueue' || side.raw === true) }
        : column,
    );
}
