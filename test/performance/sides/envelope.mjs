import { randomUUID } from 'node:crypto';
import { payload } from './payload.mjs';

/** The columns of one message as the driver stores it: what a raw client has to write and read too. */
export function messageRow(index) {
  const id = randomUUID();
  const repr = JSON.stringify([payload(index)]);
  const headers = {
    lang: 'js',
    task: 'noop',
    id,
    shadow: null,
    eta: null,
    expires: null,
    group: null,
    group_index: null,
    retries: 0,
    timelimit: [null, null],
    root_id: id,
    parent_id: null,
    argsrepr: repr,
    kwargsrepr: '{}',
    origin: 'gen1@host',
    ignore_result: true,
  };
  const properties = { correlation_id: id, reply_to: '', delivery_mode: 2, priority: 0 };
  const envelope = JSON.stringify({ headers, properties, contentType: 'application/json', contentEncoding: 'utf-8' });
  return { id, envelope, body: JSON.stringify([[payload(index)], {}, {}]) };
}
