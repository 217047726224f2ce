import { describe, expect, it } from 'vitest';
import { clientOf } from './storefront-client.js';
import type { Storefront } from './storefront-processes.js';

/** The rest of `/admin`: the key, registered tasks, results, queues. */
export function operatorSuite(storefront: () => Storefront): void {
  const { post, get, admin, accepted } = clientOf(storefront);

  describe('keeps the admin API closed', () => {
    const paths = ['periodic-tasks', 'interval-schedules', 'crontab-schedules', 'clocked-schedules', 'solar-schedules'];
    it.each([...paths, 'task-results', 'queues', 'tasks'])('/admin/%s', async (path) => {
      expect((await get(`/admin/${path}`)).status).toBe(401);
      expect((await storefront().call('GET', `/admin/${path}`, undefined, { 'x-api-key': 'wrong' })).status).toBe(401);
      expect((await admin('GET', path)).body).toMatchObject({ items: expect.any(Array) as unknown[] });
    });

    it('also for writing, whatever is written', async () => {
      expect((await post('/admin/periodic-tasks', { nonsense: true })).status).toBe(401);
      expect((await storefront().call('DELETE', '/admin/crontab-schedules/1')).status).toBe(401);
    });
  });

  describe('shows what operators need', () => {
    it('lists the registered tasks', async () => {
      const { body } = await admin('GET', 'tasks');
      const names = body.items.map((item: any) => item.name);
      expect(names).toEqual(expect.arrayContaining(['images.makeThumbnails', 'mail.sendWelcome', 'reports.sales']));
      expect((await admin('GET', 'tasks/mail.sendWelcome')).body).toMatchObject({
        queue: 'mail',
        params: ['userId'],
        maxRetries: 5,
      });
      expect((await admin('GET', 'tasks/nothing')).status).toBe(404);
    });

    it('lists, shows and forgets results', async () => {
      const id = await accepted('/reports/sales', { from: '2026-01-01', to: '2026-01-02' });
      await storefront().task(id);
      const { items, nextCursor } = (await admin('GET', 'task-results?name=reports.sales&limit=1')).body;
      expect(items[0]).toMatchObject({
        taskId: id,
        queue: 'reports',
        args: expect.stringContaining('2026-01-01') as string,
      });
      expect(nextCursor).toEqual(expect.any(String));
      expect((await admin('DELETE', `task-results/${id}`)).status).toBe(204);
      expect((await admin('GET', `task-results/${id}`)).status).toBe(404);
      expect((await admin('DELETE', `task-results/${id}`)).status).toBe(404);
    });

    it('pauses, purges and resumes a queue', async () => {
      const queue = async (): Promise<any> => (await admin('GET', 'queues/reports')).body;
      expect(await queue()).toMatchObject({ name: 'reports', paused: false });
      expect(await admin('POST', 'queues/reports/pause')).toMatchObject({ status: 200, body: { paused: true } });
      const purged = await accepted('/reports/sales', { from: '2026-01-01', to: '2026-01-02' });
      // Work of another queue goes on meanwhile, so this one has been passed over.
      await storefront().task(await accepted('/feedback', { email: 'queue@a.example', message: 'x' }));
      expect((await get(`/tasks/${purged}`)).body.state).toBe('PENDING');
      expect(await queue()).toMatchObject({ paused: true, ready: 1, leased: 0 });
      expect(await admin('POST', 'queues/reports/purge')).toMatchObject({ status: 200, body: { purged: 1 } });
      expect(await queue()).toMatchObject({ ready: 0 });
      const kept = await accepted('/reports/sales', { from: '2026-01-01', to: '2026-01-02' });
      expect(await admin('POST', 'queues/reports/resume')).toMatchObject({ status: 200, body: { paused: false } });
      await storefront().task(kept);
      expect((await get(`/tasks/${purged}`)).status).toBe(404);
      for (const path of ['queues/nothing', 'queues/nothing/pause', 'queues/nothing/resume', 'queues/nothing/purge']) {
        expect((await admin(path.includes('/n') && path.endsWith('nothing') ? 'GET' : 'POST', path)).status).toBe(404);
      }
      expect((await admin('GET', 'queues')).body.items.map((item: any) => item.name)).toContain('mail');
    });
  });
}
