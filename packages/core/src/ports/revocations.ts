/**
 * Revoked task ids, durable: a task that had not started when `revoke` resolved never starts, also after all workers
 * and the broker restarted.
 */
export interface RevocationStore {
  /**
   * Remembers the ids until `expiresAt` (epoch milliseconds), and deals with the messages that wait in a broker of the
   * same driver as `waiting` says, in the same step. Answers the ids whose messages were taken out.
   */
  revoke(requests: readonly RevocationRequest[]): Promise<readonly string[]>;
  /** What was revoked since the marker; polled by workers for the tasks they hold. The first call passes undefined. */
  since(marker: string | undefined): Promise<{ readonly revocations: readonly Revocation[]; readonly marker: string }>;
}

/** A task that must not run, or not go on. */
export interface Revocation {
  readonly taskId: string;
  /** Also stop it where it runs already. */
  readonly terminate: boolean;
  readonly expiresAt: number;
}

/** A revocation as it is asked for. */
export interface RevocationRequest extends Revocation {
  /**
   * What becomes of the message while it waits:
   *
   * - `record`: it is taken out, and its task recorded REVOKED in the results of the same driver, unless the message
   *   itself says that its result is ignored. For an application whose results are there.
   * - `drop`: it is taken out and nothing is recorded. For an application that keeps no results.
   * - `leave`: it stays, and the worker that receives it refuses and records it. For an application whose results are
   *   kept by another driver, where the two could not be one step.
   */
  readonly waiting: 'record' | 'drop' | 'leave';
  /** When the record of `record` may be forgotten, epoch milliseconds; undefined: never. */
  readonly recordExpiresAt?: number | undefined;
}
