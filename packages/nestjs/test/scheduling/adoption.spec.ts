import { Controller, Injectable } from '@nestjs/common';
import { Cron, CronExpression, Interval, ScheduleModule, SchedulerRegistry, Timeout } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import type { Driver, ScheduleEntry } from '@taskqueue/core';
import { declareEntry, memoryDriver, nextRuns, silentLogger } from '@taskqueue/core';
import { eventually, FakeClock } from '@taskqueue/core/testing';
import { DateTime } from 'luxon';
import { afterEach, describe, expect, it } from 'vitest';
import { Every, SharedTask, TaskQueueModule, TaskQueueRuntime } from '../../src/index.js';
import type { TaskQueueModuleOptions } from '../../src/index.js';
import { TaskQueueLifecycle } from '../../src/lifecycle/task-queue.lifecycle.js';
import { scheduleOfCron } from '../../src/scheduling/adopted-cron.js';

const NOON = Date.parse('2030-06-03T12:00:00Z');
const opened: { close(): Promise<void> }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())));

async function start(
  providers: (new (...args: never[]) => object)[],
  options: TaskQueueModuleOptions,
  extra: { readonly controllers?: (new () => object)[]; readonly more?: object[] } = {},
) {
  const app = await Test.createTestingModule({
    imports: [
      ScheduleModule.forRoot(),
      TaskQueueModule.forRoot({ logger: silentLogger, worker: { shutdownGrace: 0 }, ...options }),
    ],
    providers: [...providers, ...((extra.more ?? []) as never[])],
    controllers: extra.controllers ?? [],
  }).compile();
  app.useLogger(false);
  await app.init();
  opened.push(app);
  const registry = app.get(SchedulerRegistry);
  return { app, runtime: app.get(TaskQueueRuntime), lifecycle: app.get(TaskQueueLifecycle), registry };
}

function stored(driver: Driver) {
  return driver.schedules?.list() ?? Promise.resolve([]);
}

function adopting(driver: Driver, clock: FakeClock): TaskQueueModuleOptions {
  return { driver, clock, adoptNestSchedule: true };
}

/** A new class each time, because decorators change the class itself. */
function reports() {
  const runs: string[] = [];
  @Injectable()
  class Reports {
    @Cron('0 15 * * *', { name: 'nightly', timeZone: 'Europe/Berlin' })
    async nightly(): Promise<void> {
      runs.push('nightly');
    }
    @Interval('poll', 60_000)
    async poll(): Promise<void> {
      runs.push('poll');
    }
    @Timeout('warm-up', 5_000)
    warmUp(): void {
      runs.push('warm-up');
    }
    @Cron(CronExpression.EVERY_MINUTE, { disabled: true })
    off(): void {
      runs.push('off');
    }
  }
  return { Reports, runs };
}

describe('adoption', () => {
  it('fires once through the queue however many replicas there are', async () => {
    const { Reports, runs } = reports();
    const clock = new FakeClock(NOON);
    const driver = memoryDriver({ clock });
    const [a, b] = await Promise.all([
      start([Reports], adopting(driver, clock)),
      start([Reports], adopting(driver, clock)),
    ]);
    for (const { registry } of [a, b]) {
      expect([...registry.getCronJobs().keys(), ...registry.getIntervals()]).toEqual([]);
      expect(registry.getTimeouts()).toEqual([]);
    }
    for (const { lifecycle } of [a, b]) {
      await lifecycle.startWorker();
      await lifecycle.startBeat();
    }
    await clock.advance('59m');
    expect(runs.filter((run) => run === 'nightly')).toEqual([]);
    expect(runs.filter((run) => run === 'warm-up')).toEqual(['warm-up']);
    expect(runs.filter((run) => run === 'poll')).toHaveLength(59);
    // 15:00 in Berlin's summer
    await clock.advance('5m');
    expect(runs.filter((run) => run === 'nightly')).toEqual(['nightly']);
    expect(runs).not.toContain('off');
  });

  it('changes nothing unless it is asked for, also after an application that asked', async () => {
    const { Reports } = reports();
    const clock = new FakeClock(NOON);
    await start([Reports], adopting(memoryDriver({ clock }), clock));
    const { registry, runtime } = await start([Reports], { driver: memoryDriver({ clock }), clock });
    expect([...registry.getCronJobs().keys()]).toContain('nightly');
    expect(registry.getIntervals()).toEqual(['poll']);
    expect(registry.getTimeouts()).toEqual(['warm-up']);
    expect(runtime.registry.names()).toEqual([]);
    const third = await start([Reports], adopting(memoryDriver({ clock }), clock));
    expect([...third.registry.getCronJobs().keys()]).toEqual([]);
    expect(third.runtime.declared).toHaveLength(4);
  });

  it('takes zone, name, days by either rule, and whether it is on', async () => {
    const { Reports } = reports();
    const clock = new FakeClock(NOON);
    const { runtime } = await start([Reports], adopting(memoryDriver({ clock }), clock));
    const entries = new Map(runtime.declared.map((entry) => [entry.name, entry]));
    expect(entries.get('nightly')).toMatchObject({
      task: 'Reports.nightly',
      enabled: true,
      misfire: 'skip',
      schedule: { kind: 'crontab', hour: '15', timezone: 'Europe/Berlin', dayRule: 'or' },
    });
    expect(entries.get('poll')).toMatchObject({ schedule: { kind: 'interval', everyMs: 60_000 } });
    expect(entries.get('warm-up')).toMatchObject({ schedule: { kind: 'clocked', at: NOON + 5_000 }, misfire: 'one' });
    expect(entries.get('Reports.off')).toMatchObject({ enabled: false });
  });

  it('runs a @Timeout once for the cluster, whatever is deployed before and after', async () => {
    const { Reports, runs } = reports();
    const clock = new FakeClock(NOON);
    const driver = memoryDriver({ clock });
    const deploy = async () => {
      const one = await start([Reports], adopting(driver, clock));
      await one.lifecycle.startWorker();
      await one.lifecycle.startBeat();
      return one.app;
    };
    const instant = async () => (await stored(driver)).find(({ name }) => name === 'warm-up')?.schedule;
    const first = await deploy();
    await clock.advance('3s');
    await first.close();
    const second = await deploy();
    expect(await instant()).toEqual({ kind: 'clocked', at: NOON + 5_000 });
    await clock.advance('3s');
    expect(runs.filter((run) => run === 'warm-up')).toEqual(['warm-up']);
    await second.close();
    await deploy();
    await clock.advance('10s');
    expect(runs.filter((run) => run === 'warm-up')).toEqual(['warm-up']);
  });

  it('adopts methods behind factories, and keeps the options of @SharedTask', async () => {
    class Made {
      @SharedTask({ queue: 'reports', name: 'made.hourly' })
      @Cron('0 * * * *')
      hourly(): void {}
    }
    const clock = new FakeClock(NOON);
    const { runtime, registry } = await start([], adopting(memoryDriver({ clock }), clock), {
      more: [{ provide: 'MADE', useFactory: () => new Made() }],
    });
    expect([...registry.getCronJobs().keys()]).toEqual([]);
    expect(runtime.registry.get('made.hourly').definition.queue).toBe('reports');
    expect(runtime.declared).toMatchObject([{ name: 'made.hourly', task: 'made.hourly' }]);
  });

  it('refuses what it cannot express, all at once', async () => {
    @Injectable()
    class Odd {
      @Cron('30 * * * * *')
      seconds(): void {}
      @Cron('*/7 * * * * *')
      uneven(): void {}
      @Cron('0 0 * * *', { utcOffset: 330 })
      offset(): void {}
      @Cron('*/2 * 9-17 * * *')
      workingHours(): void {}
    }
    @Controller()
    class Scheduled {
      @Cron('0 0 * * *')
      daily(): void {}
    }
    const clock = new FakeClock(NOON);
    const error = await start([Odd], adopting(memoryDriver({ clock }), clock), { controllers: [Scheduled] }).catch(
      (cause: unknown) => cause as Error & { problems: { path: string }[] },
    );
    expect((error as { problems: { path: string }[] }).problems.map(({ path }) => path)).toEqual([
      'controller Scheduled',
      'Odd.seconds @Cron cronTime',
      'Odd.uneven @Cron cronTime',
      'Odd.offset @Cron utcOffset',
      'Odd.workingHours @Cron cronTime',
    ]);
    expect((error as Error).message).toContain('use @Interval, or @Every');
  });
});

describe('cron expressions', () => {
  const entry = (cronTime: unknown, options: object = {}): ScheduleEntry =>
    declareEntry({ name: 'x', task: 'x', ...scheduleOfCron({ cronTime, ...options }, 'X.x') });
  const next = (cronTime: unknown, options: object = { timeZone: 'UTC' }) =>
    nextRuns(entry(cronTime, options).schedule, NOON, 3).map((at) => new Date(at).toISOString().slice(5, 19));

  it.each(Object.entries(CronExpression))('%s can be adopted', (_name, expression) => {
    expect(nextRuns(entry(expression, { timeZone: 'UTC' }).schedule, NOON, 1)).toHaveLength(1);
  });

  it.each([
    ['*/10 * * * * *', ['06-03T12:00:10', '06-03T12:00:20', '06-03T12:00:30']],
    ['* * * * * *', ['06-03T12:00:01', '06-03T12:00:02', '06-03T12:00:03']],
    ['0 30 */6 * * *', ['06-03T12:30:00', '06-03T18:30:00', '06-04T00:30:00']],
    ['0 12 13 * 5', ['06-07T12:00:00', '06-13T12:00:00', '06-14T12:00:00']],
    ['10/20 * * * *', ['06-03T12:10:00', '06-03T12:30:00', '06-03T12:50:00']],
    ['@weekly', ['06-09T00:00:00', '06-16T00:00:00', '06-23T00:00:00']],
    ['0 0 * jan-mar mon', ['01-06T00:00:00', '01-13T00:00:00', '01-20T00:00:00']],
  ])('%s', (expression, expected) => {
    expect(next(expression)).toEqual(expected);
  });

  it('use an offset of whole hours, and the zone of the process by default', () => {
    expect(next('0 15 * * *', { utcOffset: 120 })[0]).toBe('06-03T13:00:00');
    expect(next('0 15 * * *', { utcOffset: -180 })[0]).toBe('06-03T18:00:00');
    expect(entry('0 15 * * *').schedule).toMatchObject({
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    });
  });

  it('may be a date, which is not made up for when it is past', () => {
    const at = new Date('2031-01-01T00:00:00Z');
    expect(entry(at).schedule).toEqual({ kind: 'clocked', at: at.getTime() });
    expect(entry(DateTime.fromJSDate(at)).schedule).toEqual({ kind: 'clocked', at: at.getTime() });
  });
});

describe('the timers of beat', () => {
  it('show in the SchedulerRegistry while beat runs', async () => {
    @Injectable()
    class Ticks {
      @SharedTask()
      @Every('1h', { scheduleName: 'hourly' })
      async tick(): Promise<void> {}
    }
    const { app, lifecycle, registry } = await start([Ticks], { driver: memoryDriver() });
    expect(registry.getTimeouts()).toEqual([]);
    await lifecycle.startBeat();
    await eventually(() => expect(registry.getTimeouts()).toEqual(['taskqueue:hourly']));
    await lifecycle.drain();
    await eventually(() => expect(registry.getTimeouts()).toEqual([]));
    await app.close();
  });

  it('need no @nestjs/schedule in the application', async () => {
    @Injectable()
    class Ticks {
      @SharedTask()
      @Every('1h')
      async tick(): Promise<void> {}
    }
    const app = await Test.createTestingModule({
      imports: [TaskQueueModule.forRoot({ driver: memoryDriver(), embedded: 'beat', logger: silentLogger })],
      providers: [Ticks],
    }).compile();
    await app.init();
    await app.close();
  });
});
