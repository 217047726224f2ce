import { revokeStampedCommand } from '../control/revoke-command.js';
import { stampRevocationIds } from '../control/stamp-revocation.js';
import type { Stamps } from '../control/stamp-revocation.js';
import { showValue, UsageError } from '../errors/errors.js';
import type { TaskHandleContext } from './task-handle.js';
import { noRevocations, REVOCATION_LIVES_MS } from './task-handle.js';

/** Revokes every task with one of these stamps, of those that wait or come within a week. */
export async function revokeStamped(context: TaskHandleContext, stamps: Stamps, terminate: boolean): Promise<void> {
  const { stores, clock, signer } = context;
  const ids = stampRevocationIds(stamps);
  if (ids === undefined) {
    throw new UsageError({
      code: 'TASK_OPTIONS_INVALID',
      message: `stamps must be an object of names with text, numbers or flags, got ${showValue(stamps)}.`,
      fields: { field: 'stamps', value: stamps },
    });
  }
  if (stores.revocations === undefined) throw noRevocations();
  const expiresAt = clock.now() + REVOCATION_LIVES_MS;
  // No message has the id of a stamp: each that bears it is refused by the worker that receives it.
  await stores.revocations.revoke(ids.map((taskId) => ({ taskId, terminate, expiresAt, waiting: 'leave' as const })));
  const command = revokeStampedCommand({ stamps, terminate });
  // Workers look into the store once a second; this is quicker, and Python's know of nothing else.
  await stores.pubsub?.publish([signer?.sign(command) ?? command]).catch(() => undefined);
}
