import type { EncodedMessage } from '../message/encoded-message.js';
import type { Publication } from '../ports/channel.js';
import type { Stamps } from './stamp-revocation.js';
import { stampRevocationIds } from './stamp-revocation.js';
import { isAddressedTo, readCommand, writeCommand } from './control-message.js';

/** What Celery's commands `revoke` and `revoke_by_stamped_headers` say. */
export interface RevokeCommand {
  /** Also such as stand for a stamp; see stamp-revocation.ts. */
  readonly taskIds: readonly string[];
  readonly terminate: boolean;
  /** It is in the store already, with all that follows from it. */
  readonly isStored: boolean;
}

/** The command as Celery's clients give it, for workers of either side. */
export function revokeCommand({ taskIds, terminate, isStored }: RevokeCommand): Publication {
  const task_id = taskIds.length === 1 ? taskIds[0] : taskIds;
  return writeCommand(
    { method: 'revoke', arguments: { task_id, terminate, signal: 'SIGTERM' } },
    { headers: isStored ? { [STORED]: true } : {} },
  );
}

/** The same by stamps; it is in the store already. */
export function revokeStampedCommand(given: { readonly stamps: Stamps; readonly terminate: boolean }): Publication {
  const parameters = { headers: given.stamps, terminate: given.terminate, signal: 'SIGTERM' };
  return writeCommand({ method: 'revoke_by_stamped_headers', arguments: parameters }, { headers: { [STORED]: true } });
}

/** Ours; Python passes it over. */
const STORED = 'taskqueue_stored';

/** Undefined for any other command, for what is addressed to others, for what has expired, and for what cannot be read. */
export function readRevokeCommand(
  message: EncodedMessage,
  reader: { readonly worker: string; readonly now: number },
): RevokeCommand | undefined {
  const command = readCommand(message, reader.now);
  if (command === undefined || !isAddressedTo(command, reader.worker)) return undefined;
  const { method, arguments: given } = command;
  if (method === 'revoke_by_stamped_headers') {
    const taskIds = stampRevocationIds(given['headers']);
    return taskIds && { taskIds, terminate: saysTerminate(given), isStored: message.headers[STORED] === true };
  }
  if (method !== 'revoke' && method !== 'terminate') return undefined;
  const taskIds = [given['task_id']].flat().filter((id): id is string => typeof id === 'string');
  if (taskIds.length === 0) return undefined;
  const terminate = method === 'terminate' || saysTerminate(given);
  return { taskIds, terminate, isStored: message.headers[STORED] === true };
}

/** Whatever is true to Python: Flower says 1. */
export function saysTerminate(given: Readonly<Record<string, unknown>>): boolean {
  return Boolean(given['terminate']);
}
