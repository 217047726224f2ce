import assert from 'node:assert/strict';
import { isTaskQueueError, occurrenceTaskId } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { expect } from 'vitest';
import type { Fleet } from './fleet.js';
import type { Excuse } from './judge.js';
import { allEnded, judge } from './judge.js';
import { SteadyClient } from './steady-client.js';

const BACK_WITHIN_MS = 10_000;
/** Longer than the shortest lease of these tests. */
const AWAY_MS = 2_000;
/** A beat publishes what is due within this time. */
const BEAT_MS = 1_000;

export interface Outage {
  /** The worker's lease. */
  readonly lease: string;
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
  /**
   * RabbitMQ takes back what ran when it went, because a lease is a connection there, and does not recognise what is published
   * once more because it had not confirmed it. Such tasks may run twice, and no others.
   */
  readonly repeats?: true;
}

/** A stop and a start of the server under load lose nothing, repeat nothing, and end no process. */
export async function survivesOutage(fleet: Fleet, { lease, stop, start, repeats }: Outage): Promise<void> {
  const worker = await fleet.launch('worker', { TASKQUEUE_WORKER_LEASE: lease });
  const beat = await fleet.launch('beat');
  const client = new SteadyClient(fleet);
  client.start();
  await eventually(() => assert(startedSince(fleet, 0) > 300, 'not under way yet'));

  const leftAt = Date.now();
  await stop();
  const awayAt = Date.now();
  const wasRunning: Excuse = ({ at }, endedAt = Infinity) => at <= awayAt && endedAt >= leftAt;
  const excuse = (wasCalling: (id: string) => boolean): Excuse | undefined =>
    repeats ? (cut, endedAt) => wasRunning(cut, endedAt) || wasCalling(cut.id) : undefined;
  // It is away for as long as it takes clients to have given up on it, retries included.
  await eventually(() => {
    assert(client.rejected.length > 5, 'no call was refused yet');
    assert(Date.now() - awayAt > AWAY_MS);
  }, 60_000);
  await start();
  const backAt = Date.now();
  await eventually(() => assert(startedSince(fleet, backAt) > 0, 'nothing runs again'), BACK_WITHIN_MS);
  await eventually(() => assert(client.acceptedSince(backAt) > 0, 'nothing is accepted again'), BACK_WITHIN_MS);
  await client.stop();

  for (const error of client.rejected) {
    expect(isTaskQueueError(error, 'BROKER_UNAVAILABLE') || isTaskQueueError(error, 'PUBLISH_FAILED')).toBe(true);
  }
  await eventually(async () => assert(await allEnded(fleet, client.accepted), 'some tasks have not ended'), 60_000);
  await judge(
    fleet,
    client.accepted,
    excuse((id) => client.wasCalling(id, leftAt, awayAt)),
  );
  await eventually(
    async () => assert((await firedSince(fleet, backAt)) > 0, 'no schedule fires again'),
    BACK_WITHIN_MS,
  );
  // An unhandled rejection would have ended them.
  expect([worker.exitCode, beat.exitCode]).toEqual([null, null]);
  expect(await fleet.terminate(beat)).toBe(0);
  const occurrences = await occurrencesOf(fleet);
  const ids = [...occurrences.keys()];
  await eventually(async () => assert(await allEnded(fleet, ids), 'some occurrences have not ended'));
  await judge(
    fleet,
    ids,
    excuse((id) => isWithin(occurrences.get(id), leftAt - BEAT_MS, awayAt)),
  );
  expect(await fleet.terminate(worker)).toBe(0);
}

function startedSince(fleet: Fleet, instant: number): number {
  return fleet.ledger().filter((entry) => entry.event === 'start' && entry.at >= instant).length;
}

async function firedSince(fleet: Fleet, instant: number): Promise<number> {
  const entries = await fleet.schedules.list();
  return entries.filter((entry) => (entry.lastRunAt ?? 0) > instant).length;
}

function isWithin(instant = Infinity, since: number, until: number): boolean {
  return instant >= since && instant <= until;
}

/** Every occurrence that was fired, by what its entry counted: its id, and when it was due. */
async function occurrencesOf(fleet: Fleet): Promise<ReadonlyMap<string, number>> {
  const entries = await fleet.schedules.list();
  const due = entries.flatMap((entry) => {
    assert(entry.schedule.kind === 'interval' && entry.dueAt !== undefined);
    const { everyMs } = entry.schedule;
    const { dueAt } = entry;
    return Array.from({ length: entry.totalRunCount }, (_, index) => {
      const instant = dueAt - (index + 1) * everyMs;
      return [occurrenceTaskId(entry.name, instant), instant] as const;
    });
  });
  return new Map(due);
}
