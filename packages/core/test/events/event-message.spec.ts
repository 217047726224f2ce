import { describe, expect, it } from 'vitest';
import type { ClusterEvent, ClusterEventType } from '../../src/events/cluster-event.js';
import { listOfEvents, readEvents, singleEvent, writeEvent } from '../../src/events/event-message.js';
import type { EncodedMessage } from '../../src/message/encoded-message.js';
import { bodyBytes } from '../../src/message/encoded-message.js';
import { CAPTURED } from './captured.js';

const message = (body: unknown, contentType = 'application/json'): EncodedMessage => ({
  headers: { hostname: 'w1@peer' },
  properties: { delivery_mode: 1, priority: 0 },
  contentType,
  contentEncoding: 'utf-8',
  body: new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body)),
});
const textOf = ({ body }: EncodedMessage) => bodyBytes(body).toString('utf8');

describe('events', () => {
  it.each(Object.entries(CAPTURED))('%s is written as Celery writes it, once it was read', (type, captured) => {
    const [read] = readEvents(message(captured));
    expect(read).toMatchObject({ known: true, event: { type, hostname: captured['hostname'], fields: captured } });
    const event = read?.event as ClusterEvent;
    const { json } = writeEvent(type as ClusterEventType, event as never, event);
    expect(Object.keys(JSON.parse(json) as object).sort()).toEqual(Object.keys(captured).sort());
    const { timestamp, runtime, ...rest } = JSON.parse(json) as Record<string, unknown>;
    const { timestamp: wanted, runtime: wantedRuntime, ...others } = captured;
    expect(rest).toEqual(others);
    expect(timestamp).toBeCloseTo(wanted as number, 3);
    if (wantedRuntime !== undefined) expect(runtime).toBeCloseTo(wantedRuntime as number, 6);
  });

  it('are read in our words and units', () => {
    const [sent] = readEvents(message({ ...CAPTURED['task-sent'], eta: '2026-11-20T18:59:26.195616+00:00' }));
    expect(sent?.event).toMatchObject({
      id: '709ad096-ed86-46b4-b169-89879b96af95',
      args: '(2, 3)',
      parentId: undefined,
      eta: Date.parse('2026-11-20T18:59:26.195Z'),
      queue: 'wire',
      routingKey: 'wire',
      clock: 1,
    });
    const [beat] = readEvents(message(CAPTURED['worker-heartbeat']));
    expect(beat?.event).toMatchObject({ intervalMs: 2_000, software: 'py-celery', loadAverage: [1.56, 1.5, 1.84] });
    expect((beat?.event.at ?? 0) / 1_000).toBeCloseTo(1795201166.491261, 3);
  });

  it('come in lists, too', () => {
    const read = readEvents(message([CAPTURED['task-received'], CAPTURED['task-started']]));
    expect(read.map(({ event }) => event.type)).toEqual(['task-received', 'task-started']);
  });

  it('are said where Celery says them', () => {
    const event = readEvents(message(CAPTURED['task-sent']))[0]?.event as ClusterEvent;
    const written = writeEvent('task-sent', event as never, event);
    const one = singleEvent('gen1@host', written);
    expect(one.channel).toEqual({ exchange: 'celeryev', kind: 'topic', key: 'task.sent' });
    expect(one.message).toMatchObject({ headers: { hostname: 'gen1@host' }, properties: { delivery_mode: 1 } });
    expect(textOf(one.message)).toBe(written.json);
    const list = listOfEvents('w@host', [written, written]);
    expect(list.channel.key).toBe('task.multi');
    expect(JSON.parse(textOf(list.message))).toHaveLength(2);
  });

  it('of other types come through as they are', () => {
    const own = { hostname: 'w1@peer', timestamp: 1, type: 'shop-opened', door: 7 };
    expect(readEvents(message(own))).toEqual([
      { known: false, event: expect.objectContaining({ type: 'shop-opened', at: 1_000, fields: own }) as unknown },
    ]);
    const inherited = { ...own, type: 'constructor' };
    expect(readEvents(message(inherited))[0]?.known).toBe(false);
  });

  it('that cannot be read are none', () => {
    const started = CAPTURED['task-started'];
    for (const body of ['', '{', 'null', '7', '[]', '[[]]', { type: 'task-started' }, { ...started, uuid: 7 }]) {
      expect(readEvents(message(body)), JSON.stringify(body)).toEqual([]);
    }
    for (const field of ['type', 'hostname', 'timestamp']) {
      expect(readEvents(message({ ...started, [field]: null })), field).toEqual([]);
    }
    expect(readEvents(message(started, 'application/x-python-serialize'))).toEqual([]);
  });

  it('lose fields of a wrong kind, and stay', () => {
    const strange = { ...CAPTURED['worker-online'], freq: '2', active: null, loadavg: ['1'], sw_ver: 5 };
    expect(readEvents(message(strange))[0]?.event).toMatchObject({
      type: 'worker-online',
      intervalMs: undefined,
      active: undefined,
      loadAverage: undefined,
      version: undefined,
      processed: 0,
    });
  });
});
