/**
 * Revoked task ids, durable: a task that had not started when `revoke` resolved never starts, also after all workers
 * and the broker restarted.
 */
export interface RevocationStore {
  /**
   * Remembers the ids until `expiresAt` (epoch milliseconds). A message that waits in a broker of the same driver is
   * taken out and its task recorded REVOKED in the same step; those ids are answered.
   */
  revoke(revocations: readonly Revocation[]): Promise<readonly string[]>;
  /** What was revoked since the marker; polled by workers for the tasks they hold. The first call passes undefined. */
  since(marker: string | undefined): Promise<{ readonly revocations: readonly Revocation[]; readonly marker: string }>;
}

export interface Revocation {
  readonly taskId: string;
  /** Also stop it where it runs already. */
  readonly terminate: boolean;
  readonly expiresAt: number;
}
