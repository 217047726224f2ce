import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '@taskqueue/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../test/support/fault-proxy.js';
import { createDriver } from '../src/index.js';
import { Fleet } from './fleet.js';
import { redisIsInstalled } from '../../../test/support/redis-server.js';
import { ask, PrivateRedis } from './private-redis.js';

const WORKERS = 3;

describe.skipIf(!redisIsInstalled)('faults of Redis', { timeout: 60_000 }, () => {
  let server: PrivateRedis;
  let proxy: FaultProxy;
  let fleet: Fleet;

  beforeEach(async () => {
    server = await PrivateRedis.start();
    proxy = await FaultProxy.open({ host: '127.0.0.1', port: server.port });
    const throughProxy = `redis://127.0.0.1:${proxy.port}/0`;
    const workers = Array.from({ length: WORKERS }, () => createDriver(throughProxy));
    fleet = await Fleet.open(createDriver(server.url), workers);
  });
  afterEach(async () => {
    await fleet.close();
    await proxy.close();
    await server.dispose();
  });

  it('a server that is killed and started again on its files', () =>
    fleet.survives(async () => {
      await server.kill();
      await pause(1_000);
      await server.start();
    }));

  it('a server that is restarted twice in a row', () =>
    fleet.survives(async () => {
      for (const _time of [1, 2]) {
        await server.kill();
        await server.start();
      }
    }));

  it('a server that reads its files for seconds before it serves', () =>
    fleet.survives(async () => {
      await server.command('debug', 'populate', 3_000);
      await server.command('bgrewriteaof');
      await eventually(async () => {
        const info = String(await server.command('info', 'persistence'));
        expect(info).toContain('aof_rewrite_in_progress:0');
        expect(info).toContain('aof_rewrite_scheduled:0');
      });
      await server.kill();
      await server.start(['--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024'], 'loading');
      await eventually(() => ask(server.port, ['ping']), 30_000);
    }));

  for (const name of ['main', 'sleeper', 'subscriber', 'keep-alive']) {
    it(`the loss of every ${name} connection`, () =>
      fleet.survives(async () => {
        // Some are made by workers that have nothing to do for a while.
        await fleet.stopPumping();
        const clients = await eventually(async () => {
          const found = await server.clients(`taskqueue:${name}`);
          expect(found.length).toBeGreaterThanOrEqual(WORKERS);
          return found;
        });
        fleet.pump();
        for (const { id } of clients) await server.command('client', 'kill', 'id', id);
      }));
  }

  it('the loss of all connections, again and again', () =>
    fleet.survives(async () => {
      for (let time = 0; time < 5; time += 1) {
        proxy.cut();
        await proxy.nextConnection();
        await pause(150);
      }
    }));

  it('connections that go silent, while new ones are well', () =>
    fleet.survives(async () => {
      for (const connection of proxy.connections) connection.silence();
    }));

  it('a network that swallows everything for eight seconds', () =>
    fleet.survives(async () => {
      proxy.silence();
      await pause(8_000);
      proxy.cut();
      proxy.resume();
    }));

  it('a network that swallows the answers only, and hands them on later', () =>
    fleet.survives(async () => {
      proxy.silence('to-client');
      await pause(3_000);
      proxy.resume();
    }));

  it('refused connections', () =>
    fleet.survives(async () => {
      await proxy.refuse();
      proxy.cut();
      await pause(3_000);
      await proxy.accept();
    }));

  it('a slow network', () =>
    fleet.survives(async () => {
      proxy.delay(60);
      await pause(2_000);
      proxy.resume();
    }));

  it('answers that are cut in the middle', () =>
    fleet.survives(async () => {
      for (const bytes of [1, 5, 700, 3_000]) await proxy.cutAfter(bytes, 'to-client');
    }));

  it('a script of somebody else that does not end', () =>
    fleet.survives(async () => {
      await server.command('config', 'set', 'busy-reply-threshold', 200);
      const endless = ask(server.port, ['eval', 'while true do end', '0']).catch(() => undefined);
      await eventually(async () => expect(await ask(server.port, ['ping']).catch(String)).toContain('BUSY'));
      await pause(3_000);
      await ask(server.port, ['script', 'kill']);
      await endless;
    }));

  it('a server that becomes a replica for a while', () =>
    fleet.survives(async () => {
      // Of nobody, so that it keeps its data.
      await server.command('replicaof', '127.0.0.1', 1);
      await pause(3_000);
      await server.command('replicaof', 'no', 'one');
    }));

  it('calls that are unblocked with an error', () =>
    fleet.survives(async () => {
      await fleet.stopPumping();
      await fleet.settles();
      const blocked = await eventually(async () => {
        const found = (await server.clients('taskqueue:sleeper')).filter(({ flags }) => flags.includes('b'));
        expect(found.length).toBe(WORKERS);
        return found;
      });
      for (const { id } of blocked) expect(await server.command('client', 'unblock', id, 'error')).toBe(1);
      fleet.pump();
    }));

  it('forgotten scripts', () =>
    fleet.survives(async () => {
      for (let time = 0; time < 20; time += 1) {
        await server.command('script', 'flush', 'sync');
        await pause(20);
      }
    }));

  it('a server that stands still for three seconds', () =>
    fleet.survives(async () => {
      await server.command('debug', 'sleep', 3);
    }));

  it('all of it at random, for ten seconds', () =>
    fleet.survives(async () => {
      const random = seeded(20_261_121);
      const faults: readonly (() => unknown)[] = [
        () => proxy.cut(),
        () => proxy.connections[random(proxy.connections.length)]?.cut(),
        () => proxy.connections[random(proxy.connections.length)]?.silence(random(2) === 0 ? 'both' : 'to-client'),
        () => Promise.race([proxy.loseReply(), pause(300)]),
        () =>
          Promise.race([proxy.cutAfter(1 + random(3_000), random(2) === 0 ? 'to-server' : 'to-client'), pause(300)]),
        () => server.command('script', 'flush'),
        () => server.kill().then(() => server.start()),
      ];
      const end = performance.now() + 10_000;
      while (performance.now() < end) {
        await faults[random(faults.length)]?.();
        await pause(random(300));
      }
      // A connection that is silent since lately is not noticed for some seconds.
      proxy.cut();
    }));
});

/** Numbers from 0 up to but not including the argument, the same ones each time. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}
