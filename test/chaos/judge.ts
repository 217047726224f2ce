import assert from 'node:assert/strict';
import { isTerminal } from '@taskqueue/core';
import type { Entry, Fleet } from './fleet.js';

/**
 * Judges a run from outside, from the ledger and the result table:
 *
 * - nothing lost: every accepted task has a terminal record;
 * - nothing twice without cause: a task that started again had been cut down by kill -9 in each earlier run;
 * - done stays done: the recorded run is the last one that started, and it ended.
 */
export async function judge(fleet: Fleet, accepted: readonly string[]): Promise<void> {
  const starts = new Map<string, Entry[]>();
  const ends = new Set<string>();
  for (const entry of fleet.ledger()) {
    if (entry.event === 'start') starts.set(entry.id, [...(starts.get(entry.id) ?? []), entry]);
    if (entry.event === 'end') ends.add(`${entry.id}/${entry.run}`);
  }
  for (const [id, runs] of starts) {
    for (const cut of runs.slice(0, -1)) {
      assert(fleet.killed.has(cut.pid), `task ${id} ran again although the process of run ${cut.run} was not killed`);
    }
  }
  for (const batch of chunks(accepted, 500)) {
    const records = await fleet.driver.results?.get(batch);
    batch.forEach((id, index) => {
      const record = records?.[index];
      assert(record !== undefined && isTerminal(record.state), `task ${id} is lost: ${record?.state ?? 'no record'}`);
      if (record.state !== 'SUCCESS') return;
      assert.equal(
        record.run,
        starts.get(id)?.at(-1)?.run,
        `task ${id}: the recorded run is not the last one that started`,
      );
      assert(ends.has(`${id}/${record.run}`), `task ${id} is recorded as done, but its run did not end`);
    });
  }
}

/** True when every one of the tasks has ended. */
export async function allEnded(fleet: Fleet, ids: readonly string[]): Promise<boolean> {
  for (const batch of chunks(ids, 500)) {
    const records = (await fleet.driver.results?.get(batch)) ?? [];
    if (records.some((record) => record === undefined || !isTerminal(record.state))) return false;
  }
  return true;
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  );
}
