import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@taskqueue/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ended } from './command.js';
import { rabbitmqIsInstalled, RabbitmqServer } from '../../../../test/support/rabbitmq-server.js';
import { APP, CommandProcess } from './command.js';

const scratch = mkdtempSync(join(tmpdir(), 'taskqueue-cli-'));
const processes: CommandProcess[] = [];
afterAll(() => {
  for (const one of processes.splice(0)) one.signal('SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = scratch): CommandProcess {
  const one = new CommandProcess(args, { env, cwd });
  processes.push(one);
  return one;
}

const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = scratch): Promise<Ended> =>
  start(args, env, cwd).ended();

/** A queue of a case's own. */
function sqlite(): Record<string, string> {
  return { TASKQUEUE_URL: `sqlite:${join(scratch, `${randomUUID()}.sqlite`)}` };
}

async function worker(env: Readonly<Record<string, string>>, name = 'w1'): Promise<CommandProcess> {
  const one = start(['worker', '--app', APP, '-n', name, '--task-events'], env);
  await one.says(`${name} takes tasks from default`);
  return one;
}

const parsed = <T>({ stdout }: Ended): T => JSON.parse(stdout) as T;

describe('wrong words', () => {
  it.concurrent.each([
    [['wrker'], "unknown command 'wrker'", 'Did you mean worker?'],
    [['queues', '--jsn'], "unknown option '--jsn'", 'Did you mean --json?'],
    [['inspect', 'activ'], "unknown command 'activ'", 'Did you mean active?'],
    [['queues', 'puase', 'mail'], "unknown command 'puase'", 'Did you mean pause?'],
    [['dead', 'redirve', '--all'], "unknown command 'redirve'", 'Did you mean redrive?'],
    [['schedules', 'enabel', 'x', '--json'], "unknown command 'enabel'", 'Did you mean enable?'],
    [['worker', '--quues', 'a'], "unknown option '--quues'", 'Did you mean --queues?'],
    [['result'], "missing required argument 'id'", '--help'],
    [['purge'], 'names of queues, or --all', 'COMMAND_INVALID'],
    [['dead', 'redrive'], 'dead redrive needs ids, or --all', 'COMMAND_INVALID'],
    [['dead', 'redrive', 'x', '--all'], 'dead redrive needs ids, or --all', 'COMMAND_INVALID'],
    [['dead', 'redrive', '--all'], 'Nobody is at a terminal', 'Give --force.'],
    [['control', 'revoke_by_stamped_headers', 'seven'], 'stamps must be name=value, got "seven"', 'COMMAND_INVALID'],
    [['call', 'Sums.add', '--stamp', 'seven'], 'stamps must be name=value, got "seven"', 'COMMAND_INVALID'],
    [['purge', 'default'], 'Nobody is at a terminal', 'Give --force.'],
    [['purge', 'mial', '--force'], 'no queue "mial"', 'There are: default.'],
    [['call', 'Sums.add', '--args', '{'], '--args must be a JSON list', 'COMMAND_INVALID'],
    [['call', 'Sums.add', '--eta', 'soon'], 'eta must be a valid Date', 'TASK_OPTIONS_INVALID'],
    [['call', 'Sums.ad', '--app', APP], 'No task is named "Sums.ad"', 'Did you mean Sums.add?'],
    [['call', 'Sums.nope', '--app', APP], 'No task is named "Sums.nope"', 'Sums.add, Sums.bury'],
    [['call', 'proj.add', '--app', APP], 'No task is named "proj.add"', 'With --foreign it is sent all the same'],
    [['queues', '--app', `${APP}#Nope`], 'Its modules are: AppModule, OtherModule', 'CONFIGURATION_INVALID'],
    [['queues', '--app', `${APP}#OtherModule`], 'a module that imports TaskQueueModule', 'CONFIGURATION_INVALID'],
    [['queues', '--app', 'dist/nowhere.js'], 'Build the application first.', 'CONFIGURATION_INVALID'],
    [['worker'], "expected the file of the application's module", 'A worker needs the application'],
    [['beat'], "expected the file of the application's module", 'Beat needs the application'],
    [['schedules', 'enable', 'nope'], 'no schedule "nope"', 'COMMAND_INVALID'],
    [['events', '--types', 'task-faild'], 'no events of the type "task-faild"', 'Did you mean task-failed?'],
    [['events', '--types', 'task-nope'], 'no events of the type "task-nope"', 'EVENT_TYPE_UNKNOWN'],
    [['queues', '--broker', 'sqs://x'], 'a URL that begins with one of memory, sqlite', 'CONFIGURATION_INVALID'],
    [['queues', '--broker', 'pigeon://x'], 'a URL that begins with one of', 'CONFIGURATION_INVALID'],
  ])('%j is code 2, and named', async (args, what, remedy) => {
    const ended = await run(args, sqlite());
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(what);
    expect(ended.stderr).toContain(remedy);
    expect(ended.stderr).not.toMatch(/^ +at /m);
  });

  it.concurrent('shows the stack when it is asked to', async () => {
    const ended = await run(['purge', '--debug'], sqlite());
    expect(ended.stderr).toMatch(/^ +at /m);
  });

  it.concurrent('names the package that a URL needs where it is not installed', async () => {
    const hook = `export const resolve = (name, context, next) => {
      if (name !== '@taskqueue/amqp') return next(name, context);
      throw Object.assign(new Error('not there'), { code: 'ERR_MODULE_NOT_FOUND' });
    };`;
    const data = (source: string): string => `data:text/javascript,${encodeURIComponent(source)}`;
    const preload = data(`import { register } from 'node:module'; register(${JSON.stringify(data(hook))});`);
    const ended = await run(['queues', '--broker', 'amqp://x'], { NODE_OPTIONS: `--import ${preload}` });
    expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining('npm install @taskqueue/amqp') });
  });

  it.concurrent('makes no new queue in a folder that has none', async () => {
    const folder = mkdtempSync(join(scratch, 'empty-'));
    const ended = await run(['queues'], {}, folder);
    expect(ended).toMatchObject({ code: 2 });
    expect(ended.stderr).toContain('For example: --app dist/app.module.js');
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });

  it.concurrent('says that the broker cannot be reached', async () => {
    const ended = await run(['queues'], { TASKQUEUE_URL: 'redis://127.0.0.1:1/0' });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('BROKER_UNAVAILABLE');
  });
});

describe('help', () => {
  it.concurrent.each([
    [[], 'taskqueue inspect active'],
    [['worker'], '-Q, --queues <a,b>'],
    [['status'], 'taskqueue status --json'],
    [['inspect', 'active'], 'taskqueue inspect active --json'],
    [['control', 'rate_limit'], 'taskqueue control rate_limit MailTasks.send 100/m'],
    [['dead', 'redrive'], 'taskqueue dead redrive --all --queue mail --force'],
    [['events'], '--types task-failed,task-retried'],
    [['call'], '--countdown 10m'],
  ])('of %j has examples', async (command, text) => {
    const ended = await run([...command, '--help']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain(text);
  });
});

describe('the application', () => {
  it.concurrent('is named by the nearest package.json', async () => {
    const folder = mkdtempSync(join(scratch, 'app-'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ taskqueue: { app: `${APP}#AppModule` } }));
    const ended = await run(['report', '--json'], sqlite(), folder);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(parsed<{ tasks: string[]; reachable: string }>(ended)).toMatchObject({
      tasks: ['Sums.add', 'Sums.bury', 'Sums.fail', 'Sums.tick'],
      schedules: ['Sums.tick'],
      reachable: 'yes',
      stores: [expect.stringContaining('sqlite')],
    });
  });

  it.concurrent('starts no worker of its own for a command', async () => {
    const env = { ...sqlite(), EMBEDDED: 'both' };
    const ended = await run(['status', '--app', APP, '--timeout', '300ms'], env);
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain('No worker answered within 300ms.');
  });

  it.concurrent('does not run a worker with settings that cannot be: code 2, as for other commands', async () => {
    const ended = await run(['worker', '--app', APP, '-P', 'prefrok'], sqlite());
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('expected one of async, solo, threads, prefork, got "prefrok"');
  });

  it.concurrent.each([
    [{ TASKQUEUE_WORKER_CONTROL_SECRET: 'sixteen characters' }, 'does not obey "shutdown": it is not signed'],
    [{ TASKQUEUE_WORKER_CONTROL: 'inspect' }, 'does not obey "shutdown"'],
  ])('says which workers refuse to end (%j)', async (settings, why) => {
    const env = sqlite();
    const one = await worker({ ...env, ...settings });
    const told = await run(['control', 'shutdown', '--json'], env);
    expect(told.code).toBe(1);
    expect(told.stderr).toContain(why);
    expect(parsed(told)).toEqual({ told: [] });
    one.signal('SIGTERM');
    expect((await one.ended()).code).toBe(0);
  });

  it.concurrent.each(['async', 'prefork'])('lets a worker (%s) go on whose log nobody reads any more', async (pool) => {
    const env = sqlite();
    const one = start(['worker', '--app', APP, '-P', pool, '-c', '1'], env);
    await one.says('takes tasks from default');
    one.closeOutput();
    for (const summand of [1, 2, 3]) {
      const sum = await run(
        ['call', 'Sums.add', '--app', APP, '--args', `[1,${summand}]`, '--wait', '20s', '--json'],
        env,
      );
      expect(parsed(sum)).toMatchObject({ state: 'SUCCESS', result: 1 + summand });
    }
    one.signal('SIGTERM');
    expect((await one.ended()).code).toBe(0);
  });
});

describe('migrate', () => {
  it.concurrent('creates the tables once, and tells what is to be done', async () => {
    const env = sqlite();
    const names = ['CreateTaskqueue1763700000000', 'CreateCoordination1763800000000'];
    const pending = await run(['migrate', '--pending', '--json'], env);
    expect(pending.code, pending.stderr).toBe(1);
    expect(parsed<{ migration: string }[]>(pending).map((one) => one.migration)).toEqual(names);
    const done = await run(['migrate'], env);
    expect(done.code, done.stderr).toBe(0);
    for (const name of names) expect(done.stdout).toContain(name);
    const after = await run(['migrate', '--pending'], env);
    expect(after).toMatchObject({ code: 0, stdout: 'The tables are up to date.\n' });
  });

  it.concurrent('is for SQL', async () => {
    const ended = await run(['migrate'], { TASKQUEUE_URL: 'memory:' });
    expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining('No store here has tables') });
  });
});

/** A queue of a suite's own, and the way to take it away. */
interface Place {
  readonly env: Record<string, string>;
  readonly remove: () => Promise<void>;
}

const nothing = (): Promise<void> => Promise.resolve();

function redis(): Place {
  const url = new URL(process.env['TEST_REDIS_URL'] as string);
  url.searchParams.set('keyPrefix', `test-${randomUUID().slice(0, 13)}:`);
  return { env: { TASKQUEUE_URL: url.href }, remove: nothing };
}

/** A server of its own, whose queues are known to those who did not declare them. Results and schedules are in SQLite. */
async function rabbitmq(): Promise<Place> {
  const server = await RabbitmqServer.create([], ['rabbitmq_management']);
  const url = new URL(server.url);
  url.searchParams.set('managementUrl', server.managementUrl);
  const { TASKQUEUE_URL: other } = sqlite() as { TASKQUEUE_URL: string };
  const env = { TASKQUEUE_BROKER_URL: url.href, TASKQUEUE_RESULTS_URL: other, TASKQUEUE_SCHEDULES_URL: other };
  return { env, remove: () => server.remove() };
}

const QUEUES: readonly (readonly [string, boolean, () => Place | Promise<Place>])[] = [
  ['SQLite', true, () => ({ env: sqlite(), remove: nothing })],
  ['Redis', process.env['TEST_REDIS_URL'] !== undefined, redis],
  ['RabbitMQ', rabbitmqIsInstalled, rabbitmq],
];

// Each command boots an application, and several run side by side.
const PATIENCE = { timeout: 120_000 };

describe.each(QUEUES.filter(([, isThere]) => isThere))('on %s', PATIENCE, (store, _isThere, open) => {
  let place: Place;
  let env: Record<string, string>;
  let running: CommandProcess;
  beforeAll(async () => {
    place = await open();
    ({ env } = place);
    running = await worker(env);
  }, 120_000);
  afterAll(async () => {
    running?.signal('SIGKILL');
    await place?.remove();
  });

  /** RabbitMQ counts every five seconds. */
  const queuesShow = (line: RegExp): Promise<void> =>
    eventually(async () => expect((await run(['queues'], env)).stdout).toMatch(line), 30_000);

  it.concurrent('status tells who is there, and who is not', async () => {
    const there = await run(['status'], env);
    expect(there).toMatchObject({ code: 0, stderr: '' });
    expect(there.stdout).toMatch(/^WORKER +ANSWER\nw1 +pong\n$/);
    const missing = await run(['status', '--json', '-d', 'w1,w2'], env);
    expect(missing.code).toBe(1);
    expect(parsed(missing)).toEqual({ w1: { ok: 'pong' } });
    expect(missing.stderr).toContain('No answer within 1s from: w2.');
  });

  it.concurrent('calls a task and shows how it ended', async () => {
    const ended = await run(['call', 'Sums.add', '--args', '[1,2]', '--wait', '20s', '--json', '--app', APP], env);
    expect(ended.code, ended.stderr).toBe(0);
    const { id, ...record } = parsed<{ id: string }>(ended);
    expect(record).toMatchObject({ state: 'SUCCESS', task: 'Sums.add', result: 3, worker: 'w1' });
    const again = await run(['result', id], env);
    expect(again.code).toBe(0);
    expect(again.stdout).toMatch(/^state +SUCCESS$/m);
    expect(again.stdout).toMatch(/^result +3$/m);
  });

  it.concurrent('ends with 1 when the task fails, 3 when it does not end', async () => {
    const failed = await run(['call', 'Sums.fail', '--args', '["oh"]', '--wait', '20s', '--traceback'], env);
    expect(failed.code).toBe(1);
    expect(failed.stdout).toMatch(/^failure +Error: oh$/m);
    expect(failed.stdout).toMatch(/^stack +Error: oh$/m);
    const late = await run(['call', 'Sums.add', '--args', '[1,2]', '--countdown', '1h', '--queue', 'later'], env);
    expect(late.code).toBe(0);
    const id = late.stdout.trim();
    expect(await run(['result', id], env)).toMatchObject({ code: 3, stdout: expect.stringContaining('PENDING') });
    const waited = await run(['result', id, '--wait', '100ms'], env);
    expect(waited).toMatchObject({ code: 3, stderr: expect.stringContaining('RESULT_TIMEOUT') });
  });

  it.concurrent('inspects', async () => {
    const registered = await run(['inspect', 'registered'], env);
    expect(registered.stdout).toMatch(/^WORKER +TASK\nw1 +Sums\.add\n/);
    const stats = await run(['inspect', 'stats', '--json'], env);
    expect(parsed<{ w1: unknown }>(stats).w1).toMatchObject({ pool: { 'max-concurrency': expect.any(Number) } });
    expect((await run(['inspect', 'active'], env)).stdout).toMatch(/^No task runs\.$|Sums\./m);
    expect((await run(['inspect', 'active-queues'], env)).stdout).toMatch(/^w1 +default/m);
  });

  it.concurrent('controls, and tells what a worker refuses', async () => {
    const limit = await run(['control', 'rate_limit', 'Sums.tick', '10/m'], env);
    expect(limit).toMatchObject({ code: 0, stdout: expect.stringContaining('new rate limit set') });
    const refused = await run(['control', 'rate_limit', 'Sums.nope', '10/m'], env);
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: 'w1: unknown task\n' });
  });

  it.concurrent('shows dead messages and puts them back', async () => {
    const sent = await run(['call', 'Sums.bury', '--wait', '20s', '--json'], env);
    const { id } = parsed<{ id: string }>(sent);
    const list = await run(['dead', '--json'], env);
    expect(parsed<{ id: string; reason: string }[]>(list)).toContainEqual(
      expect.objectContaining({ id, task: 'Sums.bury', reason: 'not now' }),
    );
    const shown = await run(['dead', 'show', id], env);
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringMatching(/^task +Sums\.bury$/m) });
    const back = await run(['dead', 'redrive', id], env);
    expect(back).toMatchObject({ code: 0, stdout: '1 message put back\n' });
    const gone = await run(['dead', 'redrive', 'no-such-id'], env);
    expect(gone).toMatchObject({ code: 1, stderr: 'Not dead: no-such-id.\n' });
  });

  it.concurrent('puts all dead messages of a queue back, and no others', async () => {
    const [mine, others] = [`dead-${randomUUID().slice(0, 8)}`, `kept-${randomUUID().slice(0, 8)}`];
    const digger = start(['worker', '--app', APP, '-n', 'digger', '-Q', `${mine},${others}`], env);
    await digger.says('digger takes tasks from');
    for (const name of [mine, mine, others]) {
      await run(['call', 'Sums.bury', '--wait', '20s', '--queue', name], env);
    }
    digger.signal('SIGTERM');
    expect((await digger.ended()).code).toBe(0);
    const back = await run(['dead', 'redrive', '--all', '--queue', mine, '--force', '--json'], env);
    expect(back.code, back.stderr).toBe(0);
    expect(parsed(back)).toEqual({ redriven: 2 });
    const dead = async (name: string) => parsed<unknown[]>(await run(['dead', '--queue', name, '--json'], env)).length;
    expect([await dead(mine), await dead(others)]).toEqual([0, 1]);
    await queuesShow(new RegExp(`^${mine} +2 `, 'm'));
  });

  it.concurrent('revokes tasks by a stamp, also those that are sent later', async () => {
    const stamp = `customer=${randomUUID()}`;
    const revoked = await run(['control', 'revoke_by_stamped_headers', stamp], env);
    expect(revoked).toMatchObject({ code: 0, stdout: 'revoked\n' });
    const call = ['call', 'Sums.add', '--args', '[1,2]', '--wait', '20s', '--json', '--stamp'];
    const ended = await run([...call, stamp], env);
    expect(ended.code, ended.stderr).toBe(1);
    expect(parsed(ended)).toMatchObject({ state: 'REVOKED' });
    expect(await run([...call, 'customer=another'], env)).toMatchObject({ code: 0 });
  });

  it.concurrent('purges what waits, and pauses', async () => {
    const name = 'waiting';
    for (let n = 0; n < 2; n += 1) await run(['call', 'Sums.add', '--args', '[1,2]', '--queue', name], env);
    await queuesShow(/^waiting +2 +[0-] +[0-] +0 +\S/m);
    expect(await run(['queues', 'pause', name], env)).toMatchObject({ code: 0, stdout: 'waiting is paused\n' });
    await queuesShow(/^waiting +2 .* paused$/m);
    expect(await run(['queues', 'resume', name], env)).toMatchObject({ code: 0, stdout: 'waiting is resumed\n' });
    const purged = await run(['purge', name, '--force', '--json'], env);
    expect(purged.code).toBe(0);
    expect(parsed(purged)).toEqual([{ queue: name, purged: 2 }]);
  });

  it.concurrent('prints events, one a line', async () => {
    const types = 'task-received,task-succeeded';
    const asJson = start(['events', '--json', '--types', 'task-failed', '--limit', '1', '--timeout', '60s'], env);
    const asText = start(['events', '--types', types, '--limit', '2', '--timeout', '60s'], env);
    await Promise.all([asJson.says('Listening'), asText.says('Listening')]);
    await run(['call', 'Sums.add', '--args', '[1,2]', '--wait', '20s'], env);
    await run(['call', 'Sums.fail', '--args', '["oh"]'], env);
    const [json, text] = await Promise.all([asJson.ended(), asText.ended()]);
    expect(json.code).toBe(0);
    expect(parsed<{ type: string }>(json)).toMatchObject({ type: 'task-failed', hostname: 'w1' });
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^\d{4}-\S+Z task-received w1 id=/m);
  });

  it.concurrent('has schedules where the store keeps them', async () => {
    const listed = await run(['schedules'], env);
    if (store === 'Redis') {
      expect(listed).toMatchObject({ code: 2, stderr: expect.stringContaining('CAPABILITY_UNSUPPORTED') });
      return;
    }
    const beat = start(['beat', '--app', APP], env);
    await beat.says('watches the schedules');
    beat.signal('SIGTERM');
    expect((await beat.ended()).code).toBe(0);
    expect((await run(['schedules', 'disable', 'Sums.tick'], env)).stdout).toBe('Sums.tick is disabled\n');
    expect((await run(['schedules'], env)).stdout).toMatch(/^Sums\.tick +Sums\.tick +every hour +no /m);
    await run(['schedules', 'enable', 'Sums.tick'], env);
    const entries = parsed<{ name: string; enabled: boolean }[]>(await run(['schedules', '--json'], env));
    expect(entries).toMatchObject([{ name: 'Sums.tick', enabled: true }]);
  });

  it('ends workers', async () => {
    const told = await run(['control', 'shutdown', '-d', 'w1'], env);
    expect(told).toMatchObject({ code: 0, stdout: 'w1 was told to end\n' });
    expect((await running.ended()).code).toBe(0);
  });
});
