import assert from 'node:assert/strict';
import { isTerminal } from '@taskqueue/core';
import type { Entry, Fleet } from './fleet.js';

/** May a task run again although the process of this run was not killed? `endedAt` is undefined for a run that did not end. */
export type Excuse = (cut: Entry, endedAt: number | undefined) => boolean;

/**
 * Judges a run from outside, from the ledger and the result table:
 *
 * - no process ended by itself;
 * - nothing lost: every accepted task has a terminal record;
 * - nothing twice without cause: a task that started again had been cut down by kill -9 in each earlier run;
 * - done stays done: the recorded run is the last one that started, and it ended.
 */
export async function judge(fleet: Fleet, accepted: readonly string[], isExcused?: Excuse): Promise<void> {
  assert.deepEqual(fleet.crashed, []);
  const starts = new Map<string, Entry[]>();
  const ends = new Map<string, number>();
  for (const entry of fleet.ledger()) {
    if (entry.event === 'start') starts.set(entry.id, [...(starts.get(entry.id) ?? []), entry]);
    if (entry.event === 'end') ends.set(`${entry.id}/${entry.run}`, entry.at);
  }
  for (const [id, runs] of starts) {
    for (const cut of runs.slice(0, -1)) {
      const isCut = fleet.killed.has(cut.pid) || isExcused?.(cut, ends.get(`${id}/${cut.run}`)) === true;
      if (isCut) continue;
      assert.fail(`task ${id} ran again although the process of run ${cut.run} was not killed: ${history(fleet, id)}`);
    }
  }
  for (const batch of chunks(accepted, 500)) {
    const records = await fleet.results.get(batch);
    batch.forEach((id, index) => {
      const record = records[index];
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
    const records = await fleet.results.get(batch);
    if (records.some((record) => record === undefined || !isTerminal(record.state))) return false;
  }
  return true;
}

function history(fleet: Fleet, id: string): string {
  const entries = fleet.ledger().filter((entry) => entry.id === id);
  return entries.map(({ event, run, pid, at }) => `${event} ${run} in ${pid} at ${at}`).join(', ');
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  );
}
