/** Whoever reads what a command prints may have seen enough: then it ends, without an error. */
export function endWhenUnread(): void {
  process.stdout.on('error', end);
}

/** What runs until it is told to end is more than what it prints. */
export function runUnread(): void {
  process.stdout.off('error', end);
}

function end(error: NodeJS.ErrnoException): void {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
}
