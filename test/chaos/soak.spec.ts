import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { rabbitmqIsInstalled, RabbitmqServer } from '../support/rabbitmq-server.js';
import { redisIsInstalled, RedisServer } from '../support/redis-server.js';
import { Fleet } from './fleet.js';
import { allEnded, judge } from './judge.js';
import type { Store } from './store.js';
import { DURABLE_REDIS, rabbitmqStore, redisStore } from './store.js';

/** A real soak takes ten minutes: `SOAK_SECONDS=600 npx vitest run test/chaos/soak.spec.ts`. */
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 15);
/** Before, a process still loads and optimises its own code, and its memory says nothing. */
const MEMORY_SETTLES_SECONDS = 120;
const REST_MS = 2_000;
const run = promisify(execFile);

/** A server, and what its clients keep on it for as long as they live. */
interface Soaked {
  readonly store: Store;
  /** Connections, and queues that end with whoever declared them. */
  count(): Promise<Counts>;
}

interface Counts {
  readonly connections: number;
  readonly temporary: number;
}

const SERVERS = {
  redis: { isThere: redisIsInstalled, open: openRedis },
  rabbitmq: { isThere: rabbitmqIsInstalled, open: openRabbitmq },
};

interface Sample {
  readonly rss: number;
  readonly descriptors: number;
}

describe.each(Object.entries(SERVERS))('a soak on %s', (_kind, { isThere, open }) => {
  let fleet: Fleet | undefined;
  afterEach(() => fleet?.close());

  it.skipIf(!isThere || process.platform !== 'linux')(
    `of ${SECONDS} seconds with others killed at random leaves memory, descriptors, connections and temporary queues as they were`,
    async () => {
      const soaked = await open();
      fleet = await Fleet.open(soaked.store);
      const veterans = await Promise.all([fleet.launch('worker'), fleet.launch('beat')]);
      const programs = ['worker', 'beat'] as const;
      const victims = await Promise.all(programs.map((program) => (fleet as Fleet).launch(program)));
      const samples: Sample[][] = [];
      const accepted: string[] = [];
      const began = Date.now();
      let before: Counts | undefined;
      while (Date.now() - began < SECONDS * 1_000) {
        if (before === undefined && Date.now() - began > SECONDS * 300) before = await atRest(soaked);
        const calls = Array.from({ length: 40 }, () => ({ task: 'work', args: [Math.floor(Math.random() * 100)] }));
        accepted.push(...(await fleet.sender.sendMany(calls)).map((handle) => handle.id));
        const victim = Math.floor(Math.random() * victims.length);
        await fleet.kill(victims[victim] as ChildProcess);
        victims[victim] = await fleet.launch(programs[victim] as (typeof programs)[number]);
        samples.push(veterans.map(sampleOf));
      }
      await eventually(async () => assert(await allEnded(fleet as Fleet, accepted), 'some have not ended'), 60_000);
      await judge(fleet, accepted);
      expect(await atRest(soaked)).toEqual(before);
      veterans.forEach((_veteran, index) => expectFlat(samples.map((one) => one[index] as Sample)));
      expect(fleet.crashed).toEqual([]);
    },
    SECONDS * 1_000 + 120_000,
  );
});

/** When nobody comes or goes any more: what the killed ones had is gone a moment after them, and who is new takes a moment. */
function atRest(soaked: Soaked): Promise<Counts> {
  let latest: Counts | undefined;
  let since = 0;
  return eventually(async () => {
    const counts = await soaked.count();
    if (JSON.stringify(counts) !== JSON.stringify(latest)) since = Date.now();
    latest = counts;
    assert(Date.now() - since >= REST_MS, 'still changing');
    return counts;
  }, 60_000);
}

function expectFlat(samples: readonly Sample[]): void {
  const third = Math.floor(samples.length / 3);
  const [middle, last] = [samples.slice(third, 2 * third), samples.slice(2 * third)];
  const most = (part: readonly Sample[], of: keyof Sample): number => Math.max(...part.map((one) => one[of]));
  expect(most(last, 'descriptors'), 'descriptors').toBeLessThanOrEqual(most(middle, 'descriptors') + 4);
  if (SECONDS < MEMORY_SETTLES_SECONDS) return;
  expect(most(last, 'rss'), 'kilobytes of memory').toBeLessThanOrEqual(most(middle, 'rss') * 1.1 + 8_192);
}

function sampleOf({ pid }: ChildProcess): Sample {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const rss = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  return { rss, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

async function openRedis(): Promise<Soaked> {
  const server = await RedisServer.create(DURABLE_REDIS);
  const ask = async (...args: string[]): Promise<string> =>
    (await run('redis-cli', ['-p', String(server.port), ...args])).stdout;
  return {
    store: await redisStore(server),
    count: async () => {
      const clients = (await ask('client', 'list')).split('\n').filter((line) => line.includes('id='));
      // The one that asks is one of them.
      return { connections: clients.length - 1, temporary: 0 };
    },
  };
}

async function openRabbitmq(): Promise<Soaked> {
  const server = await RabbitmqServer.create();
  const lines = async (...args: string[]): Promise<string[]> =>
    (await server.control(...args, '--quiet', '--no-table-headers')).split('\n').filter((line) => line.trim() !== '');
  return {
    store: await rabbitmqStore(server),
    count: async () => {
      const queues = await lines('list_queues', 'name');
      const temporary = queues.filter((name) => /^taskqueue\.(ear|lock)\.|pidbox/.test(name)).length;
      return { connections: (await lines('list_connections', 'pid')).length, temporary };
    },
  };
}
