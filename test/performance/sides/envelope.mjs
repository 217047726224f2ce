import { newTaskId } from '@taskqueue/core';
import { payload } from './payload.mjs';

/** The columns of one message as the driver stores it: what a raw client has to write and read too. */
export function messageRow(index) {
  const id = newTaskId();
  const envelope = JSON.stringify({ h: { origin: 'gen1@host', ignore_result: true } });
  return { id, envelope, body: JSON.stringify([[payload(index)], {}, {}]) };
}
