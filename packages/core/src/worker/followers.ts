import type { OutgoingMessage } from '../ports/broker.js';
import type { Settlement } from '../ports/delivery.js';

const NOBODY: readonly OutgoingMessage[] = [];

/** What is published with a settlement. */
export function followersOf(settlement: Settlement | undefined): readonly OutgoingMessage[] {
  if (settlement === undefined || !('effects' in settlement)) return NOBODY;
  return settlement.effects?.publish ?? NOBODY;
}
