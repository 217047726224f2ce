import type { ResultWrite } from '@taskqueue/core';

/** Appends a record as the scripts take it; see result.lua. */
export function pushWrite(args: (string | number)[], write: ResultWrite): void {
  args.push(write.rank, write.run, write.created, write.started, write.progress, write.expires, write.tail);
}
