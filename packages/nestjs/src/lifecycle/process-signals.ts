/** Signals that ask a process to end. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

export interface ServiceProcess {
  /** Begins to stop; called again at each further signal. */
  stop(): Promise<void>;
}

/**
 * Calls `stop` at SIGTERM and SIGINT, also while the service still starts, and ends the process: code 0 after a clean
 * stop, 1 otherwise. A library that does so owns the process: it is for `runWorker` and `runBeat` only.
 */
export function stopOnSignals(service: ServiceProcess): void {
  let stopping = false;
  const onSignal = (): void => {
    const stopped = service.stop();
    if (stopping) return;
    stopping = true;
    stopped.then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`Stopping failed: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
}
