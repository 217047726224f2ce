import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { BrokerError, isTaskQueueError } from '../errors/errors.js';
import { failureFrom } from '../message/failure.js';
import { eventually } from '../testing/eventually.js';
import type { TestRunner } from './context.js';
import type { OpenPool } from './pool-scene.js';
import { BOOT_MS, Control, execution, idleOf, PoolScene, softLimit, stored } from './pool-scene.js';

/** What a pool says of itself. */
export interface PoolTraits {
  /** Runs are in threads or processes of their own, and can be killed. */
  readonly preemptible: boolean;
  /** Runs are in another process. */
  readonly processes: boolean;
  /** It has one slot, whatever is asked for. */
  readonly single?: boolean;
}

/**
 * The specification of an execution pool as tests. Its tasks are registered by `registerPoolTasks`, in the children's
 * program, too.
 */
export function describePool(name: string, traits: PoolTraits, open: OpenPool, runner: TestRunner): void {
  runner.describe(`${name} conforms as a pool`, () => {
    const scene = new PoolScene(open, traits.single === true ? 1 : 2);
    runner.beforeAll(() => scene.open());
    runner.afterAll(() => scene.close());
    outcomeSuite(scene, runner);
    talkSuite(scene, runner);
    slotSuite(scene, traits, runner);
    if (traits.preemptible) killSuite(scene, traits, runner);
  });
}

function outcomeSuite(scene: PoolScene, { describe, it }: TestRunner): void {
  describe('outcomes', () => {
    it('carry what a handler returns', async () => {
      const value = {
        text: 'zażółć \u0000',
        at: new Date(0),
        bytes: new Uint8Array([0, 255]),
        big: 2n ** 70n,
        list: [null],
      };
      assert.deepEqual(stored(await scene.run('echo', [value])), value);
      assert.equal(stored(await scene.run('echo', [])), null);
    });

    it('bear values that cannot be sent, and look at none that nobody wants', async () => {
      const outcome = await scene.run('unsendable');
      assert.throws(() => stored(outcome), { code: 'VALUE_NOT_SERIALIZABLE' });
      const unwanted = await scene.run('unsendable', [], { wantsValue: false });
      assert.equal(unwanted.kind, 'succeeded');
    });

    it('carry an error with its name, text, stack, code and cause', async () => {
      const outcome = await scene.run('fail');
      assert(outcome.kind === 'failed');
      const failure = outcome.judgement?.failure ?? failureFrom(outcome.error);
      assert.deepEqual([failure.type, failure.message, failure.code], ['Moody', 'no', 'EMOOD']);
      assert.match(failure.stack ?? '', /pool-tasks/);
      assert.deepEqual([failure.cause?.type, failure.cause?.message], ['TypeError', 'because']);
      const text = await scene.run('throw-text');
      assert(text.kind === 'failed');
      const plain = text.judgement?.failure ?? failureFrom(text.error);
      assert.deepEqual([plain.type, plain.message, plain.stack], ['NonErrorThrown', 'boom', undefined]);
    });

    it('say what the policy of the task says of its own error classes', async () => {
      for (const [as, verdict] of [
        ['moody', true],
        ['else', false],
      ] as const) {
        const outcome = await scene.run('moody', [as]);
        assert(outcome.kind === 'failed');
        if (outcome.judgement === undefined) continue; // The error itself is here, and can be asked.
        assert.deepEqual([outcome.judgement.retried, outcome.judgement.expected], [verdict, verdict]);
      }
      const odd = await scene.run('misjudged');
      const text = odd.kind === 'undecided' ? odd.judgement.failure.message : 'of the policy';
      assert.equal(text, 'of the policy');
    });

    it('carry signals', async () => {
      const eta = new Date(1_800_000_000_000);
      const retry = await scene.run('retry', [eta]);
      assert(retry.kind === 'retry');
      assert.deepEqual([retry.options.eta, retry.options.max, retry.options.args], [eta, Infinity, ['next', eta]]);
      assert.equal((retry.options.cause as Error).message, 'first');
      assert.deepEqual(await scene.run('snooze'), { kind: 'snoozed', delayMs: 3_000 });
      assert.deepEqual(await scene.run('ignore'), { kind: 'ignored' });
      const reject = await scene.run('reject');
      assert(reject.kind === 'rejected');
      assert.deepEqual([reject.reason, reject.requeue], ['not mine', true]);
      assert.equal((reject.failure ?? failureFrom(reject.error)).type, 'Moody');
    });

    it('bear a retry that cannot be sent', async () => {
      const outcome = await scene.run('retry-unsendable');
      if (outcome.kind === 'retry') return; // It is refused where it is sent.
      assert(outcome.kind === 'undecided');
      assert.equal(outcome.judgement.failure.code, 'VALUE_NOT_SERIALIZABLE');
    });

    it('refuse arguments that do not fit, and tasks that are not known', async () => {
      const refused = await scene.run('checked', ['much too long']);
      assert(refused.kind === 'rejected' && !refused.requeue);
      assert.match(refused.reason, /must be short/);
      assert.equal(stored(await scene.run('checked', ['fits'])), 'fits');
      const unknown = await scene.run('nowhere');
      assert(unknown.kind === 'failed');
      assert.equal((unknown.judgement?.failure ?? failureFrom(unknown.error)).code, 'TASK_UNKNOWN');
    });
  });
}

function talkSuite(scene: PoolScene, { describe, it }: TestRunner): void {
  describe('a run', () => {
    it('knows its task', async () => {
      const at = execution('facts', ['a', { b: 1 }], { deadline: 1_800_000_000_000 });
      const facts = stored(await scene.pool.run(at, new Control())) as Record<string, unknown>;
      const { id } = at.message;
      assert.deepEqual(facts, {
        id,
        name: 'pool.facts',
        queue: 'q',
        attempt: 3,
        retries: 2,
        maxRetries: 7,
        fence: 5,
        worker: 'w@h',
        rootId: id,
        headers: { tenant: 'a' },
        bare: true,
        deadline: 1_800_000_000_000,
        args: ['a', { b: 1 }],
      });
    });

    it('waits until its progress is stored, and hears when it is not', async () => {
      const control = new Control();
      assert.equal(stored(await scene.pool.run(execution('progress'), control)), 'done');
      assert.deepEqual(control.progressed, [{ done: 1 }, { done: 2 }]);
      const refused = new Control(new BrokerError({ code: 'BROKER_UNAVAILABLE', message: 'Away.', retryable: true }));
      const outcome = await scene.pool.run(execution('progress'), refused);
      assert(outcome.kind === 'failed');
      const failure = outcome.judgement?.failure ?? failureFrom(outcome.error);
      assert.deepEqual([failure.type, failure.code, failure.message], ['BrokerError', 'BROKER_UNAVAILABLE', 'Away.']);
    });

    it('is told to stop, and why', async () => {
      const control = new Control();
      const ended = scene.pool.run(execution('until-told'), control);
      await control.first.promise;
      control.controller.abort(softLimit());
      assert.deepEqual(stored(await ended), {
        ours: true,
        code: 'SOFT_TIME_LIMIT_EXCEEDED',
        text: 'TaskError: Too long.',
      });
    });

    it('that was told before it began hears it, too', async () => {
      const control = new Control();
      control.controller.abort(softLimit());
      // Its first word is refused then.
      const outcome = await scene.pool.run(execution('until-told'), control);
      assert(outcome.kind === 'failed' || outcome.kind === 'succeeded');
    });

    it('that gives up has ended for the reason that it was given', async () => {
      const control = new Control();
      const ended = scene.pool.run(execution('give-up'), control);
      await control.first.promise;
      control.controller.abort(softLimit());
      const outcome = await ended;
      assert(outcome.kind === 'failed');
      const code = outcome.judgement?.failure.code ?? (isTaskQueueError(outcome.error) ? outcome.error.code : '');
      assert.equal(code, 'SOFT_TIME_LIMIT_EXCEEDED');
    });
  });
}

function slotSuite(scene: PoolScene, traits: PoolTraits, { describe, it }: TestRunner): void {
  describe('slots', () => {
    it('are as many as the size, are held while a run lasts, and tell when they are free', async () => {
      const { size } = scene;
      const pool = await scene.own({ size });
      assert.deepEqual([pool.size, pool.idle, pool.stuck, pool.preemptible], [size, size, 0, traits.preemptible]);
      const controls = Array.from({ length: size }, () => new Control());
      const runs = controls.map((control) => pool.run(execution('until-told'), control));
      assert.equal(idleOf(pool), 0);
      await Promise.all(controls.map((control) => control.first.promise));
      let told = 0;
      const unlisten = pool.onIdle(() => (told += 1));
      for (const [index, control] of controls.entries()) {
        control.controller.abort(softLimit());
        await runs[index];
        assert.equal(idleOf(pool), index + 1);
      }
      assert(told >= size);
      unlisten();
    });

    it('become more and fewer', async () => {
      if (traits.single === true) return;
      const pool = await scene.own({ size: 1 });
      pool.resize(3);
      assert.equal(pool.size, 3);
      await eventually(() => assert.equal(pool.idle, 3), BOOT_MS);
      pool.resize(1);
      assert.equal(pool.size, 1);
      await eventually(() => assert.equal(pool.idle, 1), BOOT_MS);
      assert.equal(stored(await pool.run(execution('echo', [1]), new Control())), 1);
    });

    it('are where they are said to be', async () => {
      const where = stored(await scene.run('where')) as { pid: number; thread: number };
      assert.equal(where.pid !== process.pid, traits.processes);
    });
  });
}

function killSuite(scene: PoolScene, traits: PoolTraits, { describe, it }: TestRunner): void {
  describe('killing', () => {
    for (const task of ['spin', 'hang']) {
      it(`ends a task that does not end (${task}) within a second, and gives the slot back`, async () => {
        const pool = await scene.own({ size: 1 });
        const at = execution(task);
        const limited = { ...at, message: { ...at.message, timeLimitMs: 321 } };
        const control = new Control();
        const ended = pool.run(limited, control);
        await control.first.promise;
        const began = performance.now();
        pool.terminate(limited);
        assert.deepEqual(await ended, { kind: 'timed-out', limitMs: 321 });
        assert(performance.now() - began < 1_000);
        await eventually(() => assert.equal(pool.idle, 1), BOOT_MS);
        assert.equal(stored(await pool.run(execution('echo', ['again']), new Control())), 'again');
      });
    }

    const deaths: [string, readonly unknown[]][] = [
      ['exit', [0]],
      ['exit', [3]],
      ['throw-late', []],
    ];
    for (const [task, args] of deaths) {
      it(`is no matter of others: a child that ends itself (${task} ${args.join()}) takes its own run with it`, async () => {
        const pool = await scene.own({ size: 2 });
        const control = new Control();
        const other = pool.run(execution('until-told'), control);
        await control.first.promise;
        const outcome = await pool.run(execution(task, args), new Control());
        assert.equal(outcome.kind, 'worker-lost', inspect(outcome));
        control.controller.abort(softLimit());
        assert.equal((stored(await other) as { ours: boolean }).ours, true);
        await eventually(() => assert.equal(pool.idle, 2), BOOT_MS);
      });
    }

    it('ends what runs when it is abandoned, and runs go on after that', async () => {
      const pool = await scene.own({ size: 1 });
      const control = new Control();
      const ended = pool.run(execution('spin'), control);
      await control.first.promise;
      await pool.abandon();
      assert.deepEqual(await ended, { kind: 'interrupted' });
      await eventually(() => assert.equal(pool.idle, 1), BOOT_MS);
    });

    it('comes with the close, for what runs and for what waits', async () => {
      const pool = await scene.own({ size: 1 });
      const control = new Control();
      const runs = [pool.run(execution('hang'), control), pool.run(execution('echo'), new Control())];
      await control.first.promise;
      await pool.close();
      assert.deepEqual(await Promise.all(runs), [{ kind: 'interrupted' }, { kind: 'interrupted' }]);
      assert.deepEqual(await pool.run(execution('echo'), new Control()), { kind: 'interrupted' });
    });

    it('does not come with a restart: children are replaced when what they run has ended', async () => {
      const pool = await scene.own({ size: 2 });
      const key = traits.processes ? 'pid' : 'thread';
      const where = async (): Promise<number> =>
        (stored(await pool.run(execution('where'), new Control())) as Record<string, number>)[key] as number;
      const before = new Set(await Promise.all([where(), where()]));
      const control = new Control();
      const running = pool.run(execution('until-told'), control);
      await control.first.promise;
      assert('restart' in pool);
      pool.restart?.();
      await eventually(() => assert.equal(pool.idle, 1), BOOT_MS);
      assert(!before.has(await where()));
      control.controller.abort(softLimit());
      assert.equal((await running).kind, 'succeeded');
      await eventually(() => assert.equal(pool.idle, 2), BOOT_MS);
      const after = await Promise.all([where(), where()]);
      assert(after.every((one) => !before.has(one)));
    });

    it('is not needed for a child that has run enough: it is replaced', async () => {
      const pool = await scene.own({ size: 1, maxTasks: 2 });
      const seen: unknown[] = [];
      for (let count = 0; count < 4; count += 1) seen.push(stored(await pool.run(execution('where'), new Control())));
      const key = traits.processes ? 'pid' : 'thread';
      const where = seen.map((one) => (one as Record<string, number>)[key]);
      assert.equal(where[0], where[1]);
      assert.notEqual(where[1], where[2]);
      assert.equal(where[2], where[3]);
    });
  });
}
