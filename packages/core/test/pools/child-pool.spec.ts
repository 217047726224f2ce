import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deferred } from '../../src/async/deferred.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { encodeValue } from '../../src/message/encoded-value.js';
import { serializerFrom, serializersFrom } from '../../src/message/wire-format.js';
import type { ChildListener } from '../../src/pools/child.js';
import { ChildPool } from '../../src/pools/child-pool.js';
import type { ToChild } from '../../src/pools/pool-protocol.js';
import type { Execution, ExecutionControl } from '../../src/ports/execution-pool.js';
import { FakeClock, nextTurns } from '../../src/testing/fake-clock.js';

const settings = validateSettings({});
const value = (of: unknown) => encodeValue(serializerFrom(settings), of, 'value');
const execution = { message: { timeLimitMs: 5 } } as unknown as Execution;
const control = (): ExecutionControl => ({ signal: new AbortController().signal, progress: () => Promise.resolve() });

/** A child that does what the case tells it to. */
class FakeChild {
  readonly heard: ToChild[] = [];
  kills = 0;
  constructor(
    readonly name: string,
    readonly listener: ChildListener,
  ) {}
  send(message: ToChild): void {
    this.heard.push(message);
  }
  kill(): void {
    this.kills += 1;
  }
  ready(): void {
    this.listener.heard({ type: 'ready' });
  }
  get runId(): number {
    return (this.heard.findLast(({ type }) => type === 'run') as { id: number }).id;
  }
  succeed(bytes?: number): void {
    const outcome = { kind: 'succeeded', value: value('ok') } as const;
    this.listener.heard({ type: 'outcome', id: this.runId, outcome, ...(bytes === undefined ? {} : { bytes }) });
  }
}

let clock: FakeClock;
let children: FakeChild[];
let said: string[];
let broken: Error[];
let pool: ChildPool;

function open(options: { size?: number; maxTasks?: number; maxBytes?: number } = {}): ChildPool {
  const warn = (text: string): void => void said.push(text);
  pool = new ChildPool({
    kind: 'process',
    size: options.size ?? 1,
    spawn: (listener) => {
      const child = new FakeChild(`child ${children.length + 1}`, listener);
      children.push(child);
      return child;
    },
    maxTasks: options.maxTasks,
    maxBytes: options.maxBytes,
    serializers: serializersFrom(settings),
    clock,
    logger: { fatal: warn, error: warn, warn, log: warn, debug: warn, verbose: warn },
    onBroken: (error) => broken.push(error),
  });
  return pool;
}
const child = (number: number): FakeChild => children[number - 1] as FakeChild;

beforeEach(() => {
  clock = new FakeClock();
  children = [];
  said = [];
  broken = [];
});
afterEach(() => {
  for (const one of children) one.listener.exited('end of the case');
});

describe('the trace of a run', () => {
  it('is told by its child, and by no other run', async () => {
    const started = open().start();
    child(1).ready();
    await started;
    const contexts: string[] = [];
    const run = pool.run(execution, { ...control(), traced: (context) => contexts.push(context) });
    const { listener, runId } = child(1);
    listener.heard({ type: 'traced', id: runId - 1, context: 'of another' });
    listener.heard({ type: 'traced', id: runId, context: '00-a-b-01' });
    child(1).succeed();
    await run;
    expect(contexts).toEqual(['00-a-b-01']);
  });
});

describe('the start', () => {
  it('is done when the first child is ready; the slots come one by one', async () => {
    open({ size: 2 });
    const started = pool.start();
    expect(children).toHaveLength(2);
    expect([pool.size, pool.idle]).toEqual([2, 0]);
    child(2).ready();
    await started;
    expect(pool.idle).toBe(1);
    child(1).ready();
    expect(pool.idle).toBe(2);
  });

  it('waits longer and longer before it tries again, and gives up after five', async () => {
    open();
    const started = pool.start();
    const seen = started.catch((error: unknown) => error);
    for (const [attempt, pause] of [100, 200, 400, 800].entries()) {
      child(attempt + 1).listener.heard({ type: 'refused', reason: 'DATABASE_URL is not set' });
      child(attempt + 1).listener.exited('exit code 1');
      await clock.advance(pause - 1);
      expect(children).toHaveLength(attempt + 1);
      await clock.advance(1);
      expect(children).toHaveLength(attempt + 2);
    }
    child(5).listener.heard({ type: 'refused', reason: 'DATABASE_URL is not set' });
    child(5).listener.exited('exit code 1');
    expect(await seen).toMatchObject({ code: 'CHILD_BOOT_FAILED' });
    expect(String(await seen)).toContain('DATABASE_URL is not set');
    expect(broken).toEqual([]);
  });

  it('kills a child that does not boot within a minute', async () => {
    open();
    void pool.start();
    await clock.advance('60s');
    expect(child(1).kills).toBe(1);
    child(1).listener.exited('signal SIGKILL');
    expect(said.join()).toContain('did not boot within 60 s');
  });

  it('may be cut short by the end', async () => {
    open();
    const started = pool.start();
    const closed = pool.close();
    expect(child(1).kills).toBe(1);
    child(1).listener.exited('signal SIGKILL');
    await closed;
    await expect(started).rejects.toThrow('closed while it started');
    expect(children).toHaveLength(1);
  });
});

describe('a child that ends', () => {
  it('takes its run with it, and is replaced at once', async () => {
    open();
    void pool.start();
    child(1).ready();
    const outcome = pool.run(execution, control());
    child(1).listener.exited('signal SIGSEGV');
    expect(await outcome).toEqual({ kind: 'worker-lost', reason: 'signal SIGSEGV' });
    expect(children).toHaveLength(2);
    expect(said.join()).toContain('child 1 has ended (signal SIGSEGV)');
  });

  it('again and again before it is of use, with none that works, breaks the pool', async () => {
    open();
    void pool.start();
    child(1).ready();
    void pool.run(execution, control());
    child(1).succeed();
    for (let attempt = 1; attempt <= 6; attempt += 1) {
      child(attempt).listener.exited('exit code 7');
      await clock.advance('10s');
    }
    expect(broken).toMatchObject([{ code: 'CHILD_BOOT_FAILED' }]);
    expect(children).toHaveLength(6);
    expect(await pool.run(execution, control())).toEqual({ kind: 'interrupted' });
  });

  it('after it has waited for a while for its first task is no sign that none can boot', async () => {
    open();
    void pool.start();
    for (let attempt = 1; attempt <= 8; attempt += 1) {
      child(attempt).ready();
      await clock.advance('5s');
      child(attempt).listener.exited('signal SIGKILL');
      expect(children).toHaveLength(attempt + 1);
    }
    expect(broken).toEqual([]);
  });

  it('as soon as it has booted, each time, breaks the pool', async () => {
    open();
    void pool.start();
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      child(attempt).ready();
      await clock.advance('100ms');
      child(attempt).listener.exited('exit code 7');
      await clock.advance('10s');
    }
    expect(broken).toMatchObject([{ code: 'CHILD_BOOT_FAILED' }]);
  });

  it.each<[string, (working: FakeChild) => void]>([
    ['crashes', (working) => working.listener.exited('signal SIGSEGV')],
    [
      'is killed at its limit',
      (working) => {
        pool.terminate(execution);
        working.listener.exited('signal SIGKILL');
      },
    ],
  ])('while it works (%s) is replaced at once, though others do not boot and are waited for', async (_how, end) => {
    open({ size: 2 });
    void pool.start();
    child(1).ready();
    void pool.run(execution, control());
    for (let attempt = 2; attempt <= 8; attempt += 1) {
      (children.at(-1) as FakeChild).listener.exited('exit code 7');
      await clock.advance('10s');
    }
    const before = children.length;
    (children.at(-1) as FakeChild).listener.exited('exit code 7');
    expect(children).toHaveLength(before);
    end(child(1));
    expect(children.length).toBeGreaterThan(before);
  });

  it('does not break a pool in which another one works', async () => {
    open({ size: 2 });
    void pool.start();
    child(1).ready();
    for (let attempt = 2; attempt <= 9; attempt += 1) {
      (children.at(-1) as FakeChild).listener.exited('exit code 7');
      await clock.advance('10s');
    }
    expect(broken).toEqual([]);
    expect(pool.idle).toBe(1);
  });
});

describe('a child that has done enough', () => {
  it.each([
    ['tasks', { maxTasks: 2 }, [undefined, undefined]],
    ['memory', { maxBytes: 1_000 }, [999, 1_001]],
  ])('(%s) says good-bye, and another one comes at once', async (_what, limits, bytes) => {
    open(limits);
    void pool.start();
    child(1).ready();
    for (const weight of bytes) {
      const outcome = pool.run(execution, control());
      child(1).succeed(weight);
      expect((await outcome).kind).toBe('succeeded');
    }
    expect(child(1).heard.at(-1)).toEqual({ type: 'bye' });
    expect(children).toHaveLength(2);
    expect(pool.idle).toBe(0);
    child(2).ready();
    expect(pool.idle).toBe(1);
    await clock.advance('5s');
    expect(child(1).kills).toBe(1);
    child(1).listener.exited('signal SIGKILL');
    expect(children).toHaveLength(2);
    expect(said).toEqual([]);
  });
});

describe('runs', () => {
  it('wait for a child when there is none, in their order', async () => {
    open();
    void pool.start();
    const ended = [pool.run(execution, control()), pool.run(execution, control())];
    expect(pool.idle).toBe(0);
    child(1).ready();
    child(1).succeed();
    child(1).succeed();
    expect((await Promise.all(ended)).map(({ kind }) => kind)).toEqual(['succeeded', 'succeeded']);
    expect(pool.idle).toBe(1);
  });

  it('end at the hard limit although their thread cannot be killed yet', async () => {
    open();
    void pool.start();
    child(1).ready();
    const outcome = pool.run(execution, control());
    pool.terminate(execution);
    expect(child(1).kills).toBe(1);
    await clock.advance(500);
    expect(await outcome).toEqual({ kind: 'timed-out', limitMs: 5 });
    expect([pool.idle, children.length]).toEqual([0, 1]);
    child(1).listener.exited('at last');
    expect(children).toHaveLength(2);
  });

  it('of before are not heard any more', async () => {
    open();
    void pool.start();
    child(1).ready();
    const first = pool.run(execution, control());
    child(1).succeed();
    await first;
    const second = pool.run(execution, control());
    child(1).listener.heard({ type: 'outcome', id: child(1).runId - 1, outcome: { kind: 'ignored' } });
    child(1).succeed();
    expect((await second).kind).toBe('succeeded');
  });

  it('free their slot before their outcome is heard of', async () => {
    open();
    void pool.start();
    child(1).ready();
    const order: string[] = [];
    const outcome = pool.run(execution, control()).then(() => order.push('outcome'));
    pool.onIdle(() => order.push(`idle ${pool.idle}`));
    child(1).succeed();
    await outcome;
    expect(order).toEqual(['idle 1', 'outcome']);
  });
});

describe('the close', () => {
  it('is over when all have gone', async () => {
    open({ size: 2 });
    void pool.start();
    child(1).ready();
    child(2).ready();
    const run = pool.run(execution, control());
    const closed = deferred();
    void pool.close().then(() => closed.resolve());
    expect(child(1).kills).toBe(1);
    expect(child(2).heard).toEqual([{ type: 'bye' }]);
    child(1).listener.exited('signal SIGKILL');
    child(2).listener.exited('exit code 0');
    await closed.promise;
    await nextTurns();
    expect(await run).toEqual({ kind: 'interrupted' });
    expect(children).toHaveLength(2);
    expect(said).toEqual([]);
  });
});
