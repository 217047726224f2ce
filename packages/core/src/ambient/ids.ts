import { randomFillSync } from 'node:crypto';
import { v5 as uuidFromName, v7 as uuidByTime } from 'uuid';

/** A new task id: a version 7 UUID, so that ids made one after another lie side by side in an index. */
export function newTaskId(): string {
  return uuidByTime({ random: randomBytes() });
}

const BYTES = 16;
/** To ask the system for a few bytes costs as much as for a few thousand. */
const stock = new Uint8Array(256 * BYTES);
let used = stock.length;

function randomBytes(): Uint8Array {
  if (used === stock.length) {
    randomFillSync(stock);
    used = 0;
  }
  used += BYTES;
  return stock.subarray(used - BYTES, used);
}

/** Namespace of the ids that are derived from an occurrence of a schedule. Part of the format: never change it. */
const OCCURRENCE_NAMESPACE = '5e7f1f0e-6d0b-4c1c-9d57-0d5b0c8f7a11';

/**
 * The task id of one occurrence of a schedule. Two beats that publish the same occurrence publish the same id, so the
 * second publication is recognised and dropped.
 */
export function occurrenceTaskId(scheduleName: string, dueAt: number): string {
  return uuidFromName(`${scheduleName}@${dueAt}`, OCCURRENCE_NAMESPACE);
}

/** Namespace of the ids that are derived from a parent task. Part of the format: never change it. */
const DERIVED_NAMESPACE = '0a3f7a0e-41de-4b8e-8a71-6d2a3c1b9e52';

/** The id of a task that another one causes; `role` tells its children apart. */
export function derivedTaskId(parentId: string, role: string): string {
  return uuidFromName(`${parentId}/${role}`, DERIVED_NAMESPACE);
}

/** Namespace of what stands for a long text. Part of the format: never change it. */
const DIGEST_NAMESPACE = 'c4a1f0de-9b3e-4b57-8f0e-2d6c57a9e340';

/** 36 characters that stand for a text: the same for the same text, and for no other one. */
export function textDigest(text: string): string {
  return uuidFromName(text, DIGEST_NAMESPACE);
}
