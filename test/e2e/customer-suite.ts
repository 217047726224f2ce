import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@taskqueue/core/testing';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { clientOf } from './storefront-client.js';
import type { Storefront } from './storefront-processes.js';

/** What customers see: work that is accepted, and tasks. */
export function customerSuite(storefront: () => Storefront): void {
  const { post, get, accepted } = clientOf(storefront);

  describe('does work in the background', () => {
    it('documents every endpoint', async () => {
      expect((await fetch(`${storefront().url}/docs`)).status).toBe(200);
      const { paths } = (await get('/docs-json')).body;
      expect(Object.keys(paths)).toEqual(
        expect.arrayContaining(['/playground/hello', '/images', '/tasks/{id}', '/admin/periodic-tasks/{id}/run']),
      );
    });

    it('answers hello at once and shows how ten seconds of work go on', async () => {
      const before = performance.now();
      const id = await accepted('/playground/hello', { message: 'We are open again!' });
      expect(performance.now() - before).toBeLessThan(2_000);
      const running = await storefront().task(id, ['PROGRESS']);
      expect(running).toMatchObject({ taskId: id, name: 'playground.notifyCustomers', error: null, attempts: 1 });
      expect(running.progress).toEqual({ done: expect.any(Number) as number, of: 10 });
      const done = await storefront().task(id, ['SUCCESS'], 20_000);
      expect(done.result).toEqual({ notified: 10, message: 'We are open again!' });
      expect(done.worker).toMatch(/^worker@/);
      const [createdAt, startedAt, doneAt] = [done.createdAt, done.startedAt, done.doneAt].map(Date.parse);
      expect(createdAt).toBeLessThanOrEqual(startedAt as number);
      expect(startedAt).toBeLessThan(doneAt as number);
    });

    it('thanks for feedback with a mail, and logs its delivery', async () => {
      const id = await accepted('/feedback', { email: 'bo@customers.example', message: 'The <tea> is fine' });
      const { result } = await storefront().task(id);
      const mail = readFileSync(join(storefront().dataDir, 'mails', `${id}.eml`), 'utf8');
      expect(mail).toContain('To: bo@customers.example');
      expect(mail).toContain('The &lt;tea&gt; is fine');
      expect(mail).toContain(`Message-ID: ${result.messageId}`);
      const logged = await storefront().query(
        `select recipient, subject, message_id from delivery_log where task_id = '${id}'`,
      );
      expect(logged).toEqual([
        { recipient: 'bo@customers.example', subject: 'Thank you', message_id: result.messageId },
      ]);
    });

    it('waits with a welcome mail as long as it is told', async () => {
      const before = Date.now();
      const id = await accepted('/mail/welcome', { userId: 1, countdown: 1.5 });
      expect((await get(`/tasks/${id}`)).body.state).toBe('PENDING');
      const done = await storefront().task(id);
      // The database's clock decides, and it may be rounded.
      expect(Date.parse(done.startedAt) - before).toBeGreaterThanOrEqual(1_400);
      expect(readFileSync(join(storefront().dataDir, 'mails', `${id}.eml`), 'utf8')).toContain('ada@customers.example');
    });

    it('makes thumbnails', async () => {
      const image = await sharp({ create: { width: 800, height: 600, channels: 3, background: '#c63' } })
        .png()
        .toBuffer();
      const { status, body } = await storefront().upload('file', image);
      expect(status).toBe(202);
      const { result, progress } = await storefront().task(body.taskId);
      expect(progress).toEqual({ done: 3, of: 3 });
      const sizes = (result.files as string[]).map((file) =>
        sharp(join(storefront().dataDir, 'images', file)).metadata(),
      );
      expect((await Promise.all(sizes)).map(({ width, format }) => [width, format])).toEqual([
        [64, 'webp'],
        [256, 'webp'],
        [800, 'webp'],
      ]);
    });

    it('refuses an image that is cut off without trying again', async () => {
      const image = await sharp({
        create: { width: 300, height: 300, channels: 3, background: '#000', noise: { type: 'gaussian' } },
      })
        .jpeg()
        .toBuffer();
      // Its header can be read, and that is all that the request waits for.
      const { status, body } = await storefront().upload('file', image.subarray(0, image.length / 2));
      expect(status).toBe(202);
      const task = await storefront().task(body.taskId, ['REJECTED']);
      expect(task).toMatchObject({
        attempts: 1,
        result: null,
        error: { message: expect.stringContaining('premature end') as string },
      });
    });

    it('reports sales', async () => {
      const id = await accepted('/reports/sales', { from: '2000-01-01', to: '2999-12-31' });
      const { result } = await storefront().task(id);
      // 360 orders: four products in turn, one to three pieces in turn; so of each product 30 orders of each quantity.
      const prices = { 'Coffee beans': 1_290, 'Tea pot': 2_450, Honey: 790, 'Espresso cup': 950 };
      const products = Object.entries(prices).map(([product, cents]) => ({
        product,
        quantity: 180,
        cents: cents * 180,
      }));
      expect(result.orders).toBe(360);
      expect(result.cents).toBe(986_400);
      expect(result.products).toEqual(products.sort((a, b) => b.cents - a.cents));
      const empty = await storefront().task(await accepted('/reports/sales', { from: '1999-01-01', to: '1999-12-31' }));
      expect(empty.result).toMatchObject({ orders: 0, cents: 0, products: [] });
    });

    it('beats every few seconds', async () => {
      const seen = await eventually(async () => {
        const { tasks } = (await get('/tasks?name=playground.heartbeat&state=SUCCESS')).body;
        expect(tasks.length).toBeGreaterThan(0);
        return tasks[0];
      });
      expect(seen.result).toMatch(/^alive at /);
    });

    it.each([
      ['/playground/hello', {}, 'message'],
      ['/playground/hello', { message: ' ' }, 'message'],
      ['/playground/hello', { message: 'a\0b' }, 'message'],
      ['/playground/hello', { message: 'x'.repeat(1_001) }, 'message'],
      ['/feedback', { email: 'nobody', message: 'x' }, 'email'],
      ['/feedback', { email: '', message: 'x' }, 'email'],
      ['/feedback', { email: 'a@b', message: 'x' }, 'email'],
      // One that a validator of requests takes, and the task does not: still the request's field is named.
      ['/feedback', { email: 'ä@example.org', message: 'x' }, 'email'],
      ['/feedback', { email: 'a@b.example' }, 'message'],
      ['/feedback', { email: 'a@b.example', message: '' }, 'message'],
      ['/mail/welcome', { userId: 'one' }, 'userId'],
      ['/mail/welcome', { userId: 0 }, 'userId'],
      ['/mail/welcome', { userId: 2_147_483_648 }, 'userId'],
      ['/mail/welcome', { userId: 1e300 }, 'userId'],
      ['/mail/welcome', { userId: 999_999 }, 'userId'],
      ['/mail/welcome', { userId: 1, countdown: -1 }, 'countdown'],
      ['/mail/welcome', { userId: 1, countdown: 1e12 }, 'countdown'],
      ['/mail/welcome', { userId: 1, countdown: '5' }, 'countdown'],
      ['/reports/sales', { from: 'yesterday', to: '2026-01-01' }, 'from'],
      ['/reports/sales', { from: '2026-02-30', to: '2026-12-31' }, 'from'],
      ['/reports/sales', { from: '2026', to: '2027-01-01' }, 'from'],
      ['/reports/sales', { from: '2026-01-01', to: '2026-W50' }, 'to'],
      ['/reports/sales', { from: '2026-02-01', to: '2026-01-31' }, 'to'],
      ['/reports/sales', { from: '2026-01-01', to: '2026-01-02', until: 1 }, 'until'],
      ['/feedback', '{', 'body'],
    ])('POST %s %j is refused and names %s', async (path, body, field) => {
      const answer = await post(path, body);
      expect(answer.status).toBe(400);
      const errors = expect.arrayContaining([{ field, message: expect.any(String) as string }]) as unknown[];
      expect(answer.body).toMatchObject({ statusCode: 400, field, errors });
    });

    it.each([
      ['under another name', 'picture', Buffer.from('x'), 'picture'],
      ['that is empty', 'file', Buffer.alloc(0), 'file'],
      ['that is no image', 'file', Buffer.from('no image'), 'file'],
      [
        'that is a program',
        'file',
        Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        'file',
      ],
    ])('refuses an upload %s', async (_what, name, content, field) => {
      expect(await storefront().upload(name, content)).toMatchObject({ status: 400, body: { field } });
    });

    it('refuses an upload without a file, and one that would fill the memory', async () => {
      expect(await post('/images', {})).toMatchObject({ status: 400, body: { field: 'file' } });
      const huge = await sharp({ create: { width: 10_000, height: 6_000, channels: 3, background: '#fff' } })
        .png()
        .toBuffer();
      expect(await storefront().upload('file', huge)).toMatchObject({ status: 400, body: { field: 'file' } });
    });
  });

  describe('shows and revokes tasks', () => {
    it('revokes one that waits', async () => {
      const id = await accepted('/mail/welcome', { userId: 2, countdown: 3_600 });
      expect(await storefront().call('DELETE', `/tasks/${id}`)).toMatchObject({
        status: 200,
        body: { state: 'REVOKED' },
      });
      expect((await get(`/tasks/${id}`)).body).toMatchObject({ state: 'REVOKED', startedAt: null });
    });

    it('stops one that runs', async () => {
      const id = await accepted('/playground/hello', { message: 'never mind' });
      await storefront().task(id, ['STARTED', 'PROGRESS']);
      expect((await storefront().call('DELETE', `/tasks/${id}`)).status).toBe(200);
      expect(await storefront().task(id, ['REVOKED', 'SUCCESS'])).toMatchObject({ state: 'REVOKED', result: null });
    });

    it('leaves one that has ended as it is', async () => {
      const id = await accepted('/reports/sales', { from: '2026-01-01', to: '2026-01-02' });
      await storefront().task(id);
      expect((await storefront().call('DELETE', `/tasks/${id}`)).body.state).toBe('SUCCESS');
    });

    it('lists them by name and state, page by page', async () => {
      const ids: string[] = [];
      for (const message of ['1', '2', '3', '4', '5'])
        ids.push(await accepted('/feedback', { email: 'list@a.example', message }));
      for (const id of ids) await storefront().task(id);
      const listed: string[] = [];
      let cursor: string | undefined = '';
      while (cursor !== undefined) {
        const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
        const { body } = await get(`/tasks?name=mail.thankForFeedback&state=SUCCESS&limit=2${query}`);
        expect(body.tasks.length).toBeLessThanOrEqual(2);
        listed.push(...(body.tasks as { taskId: string }[]).map((task) => task.taskId));
        cursor = body.nextCursor as string | undefined;
      }
      expect(new Set(listed).size).toBe(listed.length);
      expect(listed.slice(0, 5)).toEqual(ids.toReversed());
    });

    it('takes what is empty for left out, as a form sends it', async () => {
      const id = await accepted('/feedback', { email: 'form@a.example', message: 'x' });
      await storefront().task(id);
      const filled = await get('/tasks?state=&name=mail.thankForFeedback&limit=&cursor=');
      expect(filled.status).toBe(200);
      const tasks = filled.body.tasks as { taskId: string; name: string }[];
      expect(tasks.map(({ taskId }) => taskId)).toContain(id);
      expect(new Set(tasks.map(({ name }) => name))).toEqual(new Set(['mail.thankForFeedback']));
      expect((await get('/tasks?state=&name=')).status).toBe(200);
    });

    it.each(['state=DONE', 'name=%20', 'limit=0', 'limit=1.5', 'limit=9999', 'colour=red', 'cursor=nonsense'])(
      'refuses ?%s',
      async (query) => {
        const answer = await get(`/tasks?${query}`);
        expect(answer).toMatchObject({ status: 400, body: { field: query.split('=')[0] } });
      },
    );

    it('does not know other ids', async () => {
      expect((await get('/tasks/%00')).status).toBe(404);
      expect((await get('/tasks/nothing')).status).toBe(404);
      expect(await get('/tasks/%ff')).toMatchObject({ status: 400, body: { field: 'url' } });
      expect((await storefront().call('DELETE', '/tasks/nothing')).status).toBe(404);
    });
  });
}
