/**
 * A service goes on when nobody reads its log any more, e.g. because the logger behind its pipe is started again: tasks are
 * worth more than lines. Without it the next line would end the process, and lose what runs.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => undefined);
  }
}
