import { describe, expect, it } from 'vitest';
import { readEnvelope, writeEnvelope } from '../../src/sql/envelope-text.js';

const named = { task_id: 'id-1', task: 'shop.mail' };
const headers = {
  lang: 'js',
  task: 'shop.mail',
  id: 'id-1',
  shadow: null,
  eta: null,
  expires: null,
  group: null,
  group_index: null,
  retries: 0,
  timelimit: [null, null],
  root_id: 'id-1',
  parent_id: null,
  origin: 'gen1@host',
  ignore_result: false,
  replaced_task_nesting: 0,
  stamped_headers: null,
  stamps: {},
};
const properties = { correlation_id: 'id-1', reply_to: '', delivery_mode: 2, priority: 0 };
const lean = { lang: 'js', task: 'shop.mail', id: 'id-1', origin: 'gen1@host' };
const usual = { headers, properties, contentType: 'application/json', contentEncoding: 'utf-8' };

const cases: Record<string, typeof usual | object> = {
  'what most messages say': { ...usual, headers: lean, properties: {} },
  "all of Celery's headers": usual,
  'other values': {
    ...usual,
    headers: {
      ...headers,
      lang: 'py',
      retries: 3,
      timelimit: [30, null],
      root_id: 'other',
      eta: '2026-11-21T10:00:00+00:00',
      stamps: { tenant: ['a'] },
      stamped_headers: ['tenant'],
      ignore_result: true,
    },
    properties: { ...properties, correlation_id: 'another', priority: 9, expiration: '1000' },
  },
  'headers of the user': { ...usual, headers: { ...headers, 'x-tenant': { id: 7 }, h: 1, H: null, deep: [[1], {}] } },
  'values that look like ours': {
    ...usual,
    headers: { ...headers, shadow: '[null,null]', group: '{}', timelimit: null },
  },
  'nothing usual at all': { headers: {}, properties: {}, contentType: '', contentEncoding: '' },
  'an older dialect': {
    ...usual,
    headers: Object.fromEntries(Object.entries(headers).filter(([key]) => !/^(stamp|replaced)/.test(key))),
  },
  'another content type': { ...usual, contentType: 'application/x-msgpack', contentEncoding: 'binary' },
  'the id of another task': { ...usual, headers: { ...headers, id: 'id-2', task: 'shop.other' } },
  'a list where an object is usual': { ...usual, headers: { ...headers, stamps: [] } },
};

describe('envelope text', () => {
  it.each(Object.entries(cases))('gives back %s', (_name, message) => {
    const text = writeEnvelope(message as typeof usual, named, undefined);
    expect(readEnvelope(text, named)).toEqual({ ...message, bodyEncoding: undefined });
  });

  it('keeps how the body became text', () => {
    expect(readEnvelope(writeEnvelope(usual, named, 'base64'), named).bodyEncoding).toBe('base64');
  });

  it('writes only what differs', () => {
    const text = writeEnvelope({ ...usual, headers: lean, properties: {} }, named, undefined);
    expect(text).toBe('{"h":{"origin":"gen1@host"}}');
  });

  it('keeps a forbidden key, for the checks that refuse it', () => {
    const hostile = JSON.parse('{"__proto__":{"polluted":true},"task":"shop.mail"}') as Record<string, unknown>;
    const { headers: read } = readEnvelope(writeEnvelope({ ...usual, headers: hostile }, named, undefined), named);
    expect(Object.keys(read)).toEqual(['task', '__proto__']);
    expect((read as { polluted?: unknown }).polluted).toBeUndefined();
  });
});
