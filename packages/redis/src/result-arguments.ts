import type { ResultWrite } from '@taskqueue/core';

/** The arguments of a record for the scripts, in their order; see result.lua. */
export function writeArguments(write: ResultWrite): (string | number)[] {
  return [write.rank, write.run, write.created, write.started, write.progress, write.expires, write.tail];
}
