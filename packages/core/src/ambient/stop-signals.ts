/**
 * Signals that ask a process to end, as its system has them. On Windows nobody can send SIGTERM: to end a process by that name
 * is to kill it. There a console says Ctrl-C and Ctrl-Break, and SIGHUP when it is closed, ten seconds before the system ends
 * what is left; a service without a console is asked over the broker (`control shutdown`).
 */
export function stopSignals(platform: NodeJS.Platform = process.platform): readonly NodeJS.Signals[] {
  return platform === 'win32' ? ['SIGTERM', 'SIGINT', 'SIGBREAK', 'SIGHUP'] : ['SIGTERM', 'SIGINT'];
}
