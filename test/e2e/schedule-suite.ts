import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import { clientOf } from './storefront-client.js';
import type { Storefront } from './storefront-processes.js';

/** Schedules under `/admin`. */
export function scheduleSuite(storefront: () => Storefront): void {
  const { admin, created } = clientOf(storefront);

  describe('edits periodic tasks', () => {
    const heartbeat = { task: 'playground.heartbeat', enabled: false };

    it('declares the daily mail at 15:00 and the heartbeat', async () => {
      const { items } = (await admin('GET', 'periodic-tasks?limit=500')).body;
      const daily = items.find((item: any) => item.task === 'mail.sendDailyUpdate');
      expect(daily).toMatchObject({ declaredInCode: true, enabled: true, timezone: 'Europe/Berlin' });
      expect(daily.crontab).toMatchObject({ hour: '15', minute: '0', timezone: 'Europe/Berlin' });
      expect(daily.nextRuns).toHaveLength(5);
      for (const run of daily.nextRuns) expect(run).toMatch(/T15:00:00\.000\+0[12]:00$/);
      expect(items.some((item: any) => item.task === 'playground.heartbeat')).toBe(true);
    });

    it('creates, shows, lists, changes and deletes one', async () => {
      const crontab = { minute: '30', hour: '8-18/2', dayOfWeek: 'mon-fri', timezone: 'America/New_York' };
      const args = [{ from: '2026-01-01', to: '2026-12-31' }];
      const task = await created('periodic-tasks', {
        name: 'crud',
        task: 'reports.sales',
        crontab,
        args,
        queue: 'reports',
      });
      expect(task).toMatchObject({
        name: 'crud',
        crontab,
        args,
        kwargs: {},
        queue: 'reports',
        enabled: true,
        interval: null,
      });
      expect(task).toMatchObject({ timezone: 'America/New_York', totalRunCount: 0, declaredInCode: false });
      expect(task.nextRuns).toHaveLength(5);
      for (const run of task.nextRuns) expect(run).toMatch(/T(08|10|12|14|16|18):30:00\.000-0[45]:00$/);
      expect((await admin('GET', `periodic-tasks/${task.id}`)).body).toEqual(task);
      const listed = await admin('GET', 'periodic-tasks?task=reports.sales&page=1&limit=1');
      expect(listed.body).toEqual({ items: [task], page: 1, limit: 1, total: 1 });
      expect((await admin('GET', 'periodic-tasks?task=reports.sales&page=2&limit=1')).body.items).toEqual([]);
      const patch = {
        enabled: false,
        queue: null,
        description: 'off',
        solar: { event: 'sunset', latitude: 52.5, longitude: 13.4 },
      };
      const patched = await admin('PATCH', `periodic-tasks/${task.id}`, patch);
      expect(patched).toMatchObject({ status: 200, body: { ...patch, crontab: null, nextRuns: [] } });
      expect((await admin('DELETE', `periodic-tasks/${task.id}`)).status).toBe(204);
      expect((await admin('GET', `periodic-tasks/${task.id}`)).status).toBe(404);
    });

    it('takes each kind of schedule, inline or by its id', async () => {
      const at = new Date(Date.now() + 3_600_000).toISOString();
      const kinds = {
        interval: { every: 2, period: 'hours' },
        clocked: { at },
        solar: { event: 'solar_noon', latitude: 0, longitude: 0 },
      };
      for (const [kind, schedule] of Object.entries(kinds)) {
        const task = await created('periodic-tasks', {
          ...heartbeat,
          name: `kind ${kind}`,
          [kind]: schedule,
          enabled: true,
        });
        expect(task[kind]).toMatchObject(schedule);
        expect(task.nextRuns).toHaveLength(kind === 'clocked' ? 1 : 5);
        const { id } = task[kind];
        const second = await created('periodic-tasks', { ...heartbeat, name: `kind ${kind} by id`, [`${kind}Id`]: id });
        expect(second[kind]).toEqual(task[kind]);
        const deleted = await admin('DELETE', `${kind}-schedules/${id}`);
        expect(deleted).toMatchObject({
          status: 409,
          body: { field: 'id', message: expect.stringContaining(`kind ${kind}`) as string },
        });
        for (const one of [task, second]) await admin('DELETE', `periodic-tasks/${one.id}`);
        expect((await admin('DELETE', `${kind}-schedules/${id}`)).status).toBe(204);
      }
    });

    it('runs one now, also when it is switched off', async () => {
      const args = [{ from: '2000-01-01', to: '2999-12-31' }];
      const { id } = await created('periodic-tasks', {
        name: 'run me',
        task: 'reports.sales',
        args,
        crontab: {},
        enabled: false,
      });
      const { status, body } = await admin('POST', `periodic-tasks/${id}/run`);
      expect(status).toBe(202);
      expect((await storefront().task(body.taskId)).result.orders).toBe(360);
      expect((await admin('GET', `task-results/${body.taskId}`)).body.periodicTaskName).toBe('run me');
    });

    const interval = { every: 1, period: 'hours' };
    const sales = { name: 'bad', task: 'reports.sales', interval };
    const period = { from: '2026-01-01', to: '2026-12-31' };
    it.each([
      ['no schedule', { ...heartbeat, name: 'bad' }, 'schedule'],
      ['two schedules', { ...heartbeat, name: 'bad', interval, crontab: {} }, 'interval'],
      ['an hour that does not exist', { ...heartbeat, name: 'bad', crontab: { hour: '25' } }, 'crontab.hour'],
      ['cron text that is none', { ...heartbeat, name: 'bad', crontab: { dayOfWeek: 'someday' } }, 'crontab.dayOfWeek'],
      ['a step of zero', { ...heartbeat, name: 'bad', crontab: { minute: '*/0' } }, 'crontab.minute'],
      [
        'an unknown time zone',
        { ...heartbeat, name: 'bad', crontab: { timezone: 'Mars/Olympus' } },
        'crontab.timezone',
      ],
      ['a number for cron text', { ...heartbeat, name: 'bad', crontab: { minute: 5 } }, 'crontab.minute'],
      ['an unknown cron field', { ...heartbeat, name: 'bad', crontab: { second: '5' } }, 'crontab.second'],
      ['text for a crontab', { ...heartbeat, name: 'bad', crontab: '0 15 * * *' }, 'crontab'],
      [
        'an interval of nothing',
        { ...heartbeat, name: 'bad', interval: { every: 0, period: 'seconds' } },
        'interval.every',
      ],
      [
        'an endless interval',
        { ...heartbeat, name: 'bad', interval: { every: 9e15, period: 'days' } },
        'interval.every',
      ],
      ['an unknown unit', { ...heartbeat, name: 'bad', interval: { every: 1, period: 'weeks' } }, 'interval.period'],
      ['no instant', { ...heartbeat, name: 'bad', clocked: { at: 'tomorrow' } }, 'clocked.at'],
      [
        'an unknown event',
        { ...heartbeat, name: 'bad', solar: { event: 'tea', latitude: 0, longitude: 0 } },
        'solar.event',
      ],
      [
        'a place off the earth',
        { ...heartbeat, name: 'bad', solar: { event: 'sunset', latitude: 91, longitude: 0 } },
        'solar.latitude',
      ],
      [
        'a day that never comes',
        { ...heartbeat, name: 'bad', crontab: { dayOfMonth: '31', monthOfYear: '2' } },
        'crontab.dayOfMonth',
      ],
      ['an unknown schedule', { ...heartbeat, name: 'bad', crontabId: 987_654 }, 'crontabId'],
      ['a schedule that no row can have', { ...heartbeat, name: 'bad', crontabId: 1e300 }, 'crontabId'],
      ['an unknown task', { ...sales, task: 'reports.purchases' }, 'task'],
      ['no task', { name: 'bad', interval }, 'task'],
      ['no name', { ...heartbeat, interval }, 'name'],
      ['a blank name', { ...heartbeat, name: ' ', interval }, 'name'],
      ['half a character', { ...heartbeat, name: '\ud800', interval }, 'name'],
      ['a name that is too long', { ...heartbeat, name: 'x'.repeat(201), interval }, 'name'],
      ['no arguments', sales, 'args[0]'],
      ['an argument without a field', { ...sales, args: [{ from: '2026-01-01' }] }, 'args[0].to'],
      ['an argument of the wrong form', { ...sales, args: [{ ...period, to: 'today' }] }, 'args[0].to'],
      [
        'a keyword argument of the wrong form',
        { ...sales, kwargs: { period: { ...period, from: 1 } } },
        'kwargs.period.from',
      ],
      ['too many arguments', { ...sales, args: [period, 1] }, 'args'],
      ['an argument where there is none', { ...heartbeat, name: 'bad', interval, args: [1] }, 'args'],
      ['a period that ends before it begins', { ...sales, args: [{ from: period.to, to: period.from }] }, 'args[0].to'],
      ['a keyword argument where there is none', { ...heartbeat, name: 'bad', interval, kwargs: { a: 1 } }, 'kwargs.a'],
      ['an unknown keyword argument', { ...sales, args: [period], kwargs: { colour: 'red' } }, 'kwargs.colour'],
      ['arguments that are no list', { ...sales, args: period }, 'args'],
      ['a queue that cannot be', { ...sales, args: [period], queue: 'a queue' }, 'queue'],
      ['a priority that cannot be', { ...sales, args: [period], priority: 10 }, 'priority'],
      [
        'two expiries',
        { ...sales, args: [period], expires: '2030-01-01T00:00:00Z', expireSeconds: 5 },
        'expireSeconds',
      ],
      ['an expiry of nothing', { ...sales, args: [period], expireSeconds: 1e-9 }, 'expireSeconds'],
      ['an unknown field', { ...sales, args: [period], colour: 'red' }, 'colour'],
      ['null for a switch', { ...sales, args: [period], enabled: null }, 'enabled'],
    ])('refuses %s', async (_what, body, field) => {
      const answer = await admin('POST', 'periodic-tasks', body);
      expect(answer.status, JSON.stringify(answer.body)).toBe(400);
      expect(answer.body).toMatchObject({ statusCode: 400, field, message: expect.stringContaining(field) as string });
      expect(answer.body.errors[0]).toEqual({ field, message: expect.any(String) as string });
      expect(JSON.stringify((await admin('GET', 'periodic-tasks?limit=500')).body)).not.toContain('"name":"bad"');
    });

    it('refuses such a change too, and changes nothing', async () => {
      const { id, ...task } = await created('periodic-tasks', {
        ...sales,
        name: 'steady',
        args: [period],
        enabled: false,
      });
      const patches = [
        [{ crontab: { hour: '24' } }, 'crontab.hour'],
        [{ task: 'nothing' }, 'task'],
        [{ args: [] }, 'args[0]'],
        [{ args: [period, period] }, 'args'],
        [{ kwargs: { colour: 'red' } }, 'kwargs.colour'],
        [{ name: null }, 'name'],
      ] as const;
      for (const [patch, field] of patches) {
        expect(await admin('PATCH', `periodic-tasks/${id}`, patch)).toMatchObject({ status: 400, body: { field } });
      }
      expect((await admin('GET', `periodic-tasks/${id}`)).body).toEqual({ id, ...task });
    });

    it('refuses what is nested without end', async () => {
      const nested = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
      const body = `{"name":"bad","task":"playground.heartbeat","interval":{"every":1,"period":"hours"},"headers":{"x":${nested}}}`;
      expect(await admin('POST', 'periodic-tasks', body)).toMatchObject({ status: 400, body: { field: 'headers' } });
    });

    it('refuses a name that is taken', async () => {
      const first = await created('periodic-tasks', { ...heartbeat, name: 'taken', interval });
      const second = await created('periodic-tasks', { ...heartbeat, name: 'free', interval });
      const again = await admin('POST', 'periodic-tasks', { ...heartbeat, name: 'taken', interval });
      expect(again).toMatchObject({ status: 409, body: { statusCode: 409, field: 'name' } });
      const renamed = await admin('PATCH', `periodic-tasks/${second.id}`, { name: 'taken' });
      expect(renamed).toMatchObject({ status: 409, body: { field: 'name' } });
      expect(second.interval.id).toBe(first.interval.id);
    });

    it('gives a name to one of many who want it at once', async () => {
      const create = () => admin('POST', 'periodic-tasks', { ...heartbeat, name: 'wanted', crontab: { minute: '59' } });
      const statuses = (await Promise.all(Array.from({ length: 8 }, create))).map((answer) => answer.status);
      expect(statuses.toSorted((a, b) => a - b)).toEqual([201, ...Array.from({ length: 7 }, () => 409)]);
    });

    it('makes one schedule for many who want the same at once', async () => {
      const create = () => admin('POST', 'crontab-schedules', { minute: '7', hour: '3', dayOfMonth: '13' });
      const statuses = (await Promise.all(Array.from({ length: 8 }, create))).map((answer) => answer.status);
      expect(statuses.toSorted((a, b) => a - b)).toEqual([201, ...Array.from({ length: 7 }, () => 409)]);
    });

    it.each(['4711', '0', 'x', '1e0', '%201', '99999999999999999999'])('does not know %s', async (id) => {
      expect((await admin('GET', `periodic-tasks/${id}`)).status).toBe(404);
      expect((await admin('PATCH', `periodic-tasks/${id}`, { enabled: true })).status).toBe(404);
      expect((await admin('DELETE', `periodic-tasks/${id}`)).status).toBe(404);
      expect((await admin('POST', `periodic-tasks/${id}/run`)).status).toBe(404);
      expect((await admin('GET', `crontab-schedules/${id}`)).status).toBe(404);
    });
  });

  describe('lets an edit take effect at once', () => {
    const runs = async (id: number): Promise<number> => (await admin('GET', `periodic-tasks/${id}`)).body.totalRunCount;
    const moreRuns = (id: number, than: number, withinMs: number): Promise<void> =>
      eventually(async () => expect(await runs(id)).toBeGreaterThan(than), withinMs);

    it('of the task itself', async () => {
      const hourly = { every: 1, period: 'hours' };
      const { id } = await created('periodic-tasks', {
        name: 'edited',
        task: 'playground.heartbeat',
        interval: hourly,
      });
      const witness = await created('periodic-tasks', {
        name: 'witness',
        task: 'playground.heartbeat',
        interval: { every: 500, period: 'milliseconds' },
      });
      await moreRuns(witness.id, 0, 3_000);
      expect(await runs(id)).toBe(0);
      await admin('PATCH', `periodic-tasks/${id}`, { interval: { every: 1, period: 'seconds' } });
      await moreRuns(id, 0, 3_000);
      const { body } = await admin('GET', `periodic-tasks/${id}`);
      await storefront().task(body.lastTaskId);
      await admin('PATCH', `periodic-tasks/${id}`, { enabled: false });
      // Beat has looked again when another entry ran three times more: it looks at least every second.
      await moreRuns(witness.id, (await runs(witness.id)) + 3, 5_000);
      const stopped = await runs(id);
      await moreRuns(witness.id, (await runs(witness.id)) + 5, 6_000);
      expect(await runs(id)).toBe(stopped);
      await admin('PATCH', `periodic-tasks/${id}`, { enabled: true });
      await moreRuns(id, stopped, 3_000);
      for (const one of [id, witness.id]) await admin('DELETE', `periodic-tasks/${one}`);
    });

    it('of the schedule that tasks share', async () => {
      const schedule = await created('interval-schedules', { every: 3, period: 'hours' });
      const { id } = await created('periodic-tasks', {
        name: 'shared',
        task: 'playground.heartbeat',
        intervalId: schedule.id,
      });
      const patched = await admin('PATCH', `interval-schedules/${schedule.id}`, { every: 700, period: 'milliseconds' });
      expect(patched.body).toMatchObject({ id: schedule.id, every: 700, period: 'milliseconds' });
      await moreRuns(id, 0, 3_000);
      await admin('DELETE', `periodic-tasks/${id}`);
    });
  });

  describe('edits schedules', () => {
    const soon = new Date(Date.now() + 86_400_000).toISOString();
    it.each([
      ['crontab', { minute: '7', timezone: 'Asia/Tokyo' }, { hour: '3' }, { hour: '61' }, 'hour'],
      ['interval', { every: 17, period: 'minutes' }, { every: 18 }, { every: -1 }, 'every'],
      ['clocked', { at: soon }, { at: '2031-01-31T09:00:00.000Z' }, { at: '2031-02-30T09:00:00Z' }, 'at'],
      ['solar', { event: 'sunrise', latitude: 1, longitude: 2 }, { event: 'sunset' }, { longitude: 181 }, 'longitude'],
    ])('of the kind %s', async (kind, schedule, patch, bad, field) => {
      const path = `${kind}-schedules`;
      const row = await created(path, schedule);
      expect(row).toMatchObject({
        ...schedule,
        nextRuns: expect.any(Array) as unknown[],
        timezone: expect.any(String) as string,
      });
      expect((await admin('GET', `${path}/${row.id}`)).body).toEqual(row);
      const listed = (await admin('GET', `${path}?limit=500`)).body;
      expect(listed.items).toContainEqual(row);
      expect(listed.total).toBe(listed.items.length);
      expect(await admin('POST', path, schedule)).toMatchObject({
        status: 409,
        body: { field: Object.keys(schedule)[0] },
      });
      expect((await admin('PATCH', `${path}/${row.id}`, patch)).body).toMatchObject({
        id: row.id,
        ...schedule,
        ...patch,
      });
      expect(await admin('PATCH', `${path}/${row.id}`, bad)).toMatchObject({ status: 400, body: { field } });
      expect(await admin('POST', path, { ...schedule, ...bad })).toMatchObject({ status: 400, body: { field } });
      expect((await admin('DELETE', `${path}/${row.id}`)).status).toBe(204);
      expect((await admin('DELETE', `${path}/${row.id}`)).status).toBe(404);
    });
  });
}
