import { createInterface } from 'node:readline/promises';
import { wrongUse } from '../command-failure.js';

/**
 * Asks the person at the terminal; without one, who calls must have said `--force`. Throws COMMAND_INVALID when neither
 * is there.
 */
export async function confirmed(question: string, force: boolean): Promise<boolean> {
  if (force) return true;
  if (!process.stdin.isTTY) {
    throw wrongUse(`${question} Nobody is at a terminal to say yes.`, 'Give --force.');
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // Ctrl-D and Ctrl-C are a no.
    const answer = await asking.question(`${question} [y/N] `).catch(() => 'no');
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}
