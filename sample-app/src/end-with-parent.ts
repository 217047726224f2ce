/** Longest wait for a clean end once the parent is gone; the worker's own grace is 25 s. */
const LONGEST_MS = 30_000;

/**
 * Ends this process, as SIGTERM would, when the process that started it is gone, even if that was killed. Started by
 * hand or by a service manager it has no channel to a parent, and nothing happens.
 */
export function endWithParent(): void {
  if (!process.connected) return;
  process.once('disconnect', () => {
    // Nobody reads what we print any more.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
    setTimeout(() => process.exit(1), LONGEST_MS).unref();
    process.kill(process.pid, 'SIGTERM');
  });
}
