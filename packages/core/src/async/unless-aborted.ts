/**
 * What comes, or undefined when the signal aborts and nothing has come `graceMs` milliseconds later: for a call to a store
 * that cannot be taken back, by someone who must not wait for it. Who asked cares for what still comes then.
 */
export async function unlessAborted<T>(
  coming: Promise<T>,
  signal: AbortSignal,
  graceMs: number,
): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<undefined>((resolve) => {
    onAbort = () => (timer = setTimeout(() => resolve(undefined), graceMs));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([coming, aborted]);
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}
