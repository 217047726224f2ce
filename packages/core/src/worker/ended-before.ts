import type { Logger } from '../ambient/logger.js';
import type { TaskMessage } from '../message/task-message.js';
import type { Delivery } from '../ports/delivery.js';
import type { ResultBackend } from '../ports/result-backend.js';
import { keptResults } from '../ports/result-backend.js';
import { isTerminal } from '../task/task-state.js';

export interface EndedBeforeOptions {
  readonly results: ResultBackend | undefined;
  /** Results and settlement are one step of one store. */
  readonly atomic: boolean;
  readonly logger: Logger;
}

/**
 * Where the result and the acknowledgement are written to two stores, a worker may die between the two: the message comes
 * back, and its task has ended. It need not run again. Followers are written between the two, so what has any runs once
 * more, or they might never be sent.
 */
export class EndedBefore {
  constructor(private readonly options: EndedBeforeOptions) {}

  /** Can it be so? Most deliveries are the first ones, and cost nothing here. */
  mayHave(delivery: Delivery, message: TaskMessage): boolean {
    if (!delivery.redelivered || this.options.atomic || keptResults(this.options.results) === undefined) return false;
    return !message.ignoreResult && !hasFollowers(message);
  }

  async has({ id, task }: TaskMessage): Promise<boolean> {
    const { results, logger } = this.options;
    try {
      const [record] = (await results?.get([id])) ?? [];
      return record !== undefined && isTerminal(record.state);
    } catch (error) {
      logger.warn(
        `Whether ${task}[${id}] has ended before could not be read, so it runs: ${String(error)}`,
        'Executor',
      );
      return false;
    }
  }
}

function hasFollowers({ callbacks, errbacks, chain, chord }: TaskMessage): boolean {
  return [callbacks, errbacks, chain].some((one) => (one?.length ?? 0) > 0) || chord !== undefined;
}
