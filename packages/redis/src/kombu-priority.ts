/** Kombu's steps, as its default `priority_steps` has them. Each has a list of its own; Kombu takes 0 first. */
export const PRIORITY_STEPS = [0, 3, 6, 9] as const;

/** See the option `priorities`. */
export type RedisPriorities = 'own' | 'kombu' | 'none';

/** How our priorities are Kombu's, and in which order our workers take Kombu's lists. */
export interface PriorityScheme {
  /** How many levels are told apart. */
  readonly levels: 0 | 4;
  /** Numbers of the lists, 1 to 4 for Kombu's steps, in the order in which our workers take them. */
  readonly order: string;
  /** Ours, 0 to 9, as Kombu's number, which Kombu itself takes for 9 when it is more. */
  toKombu(priority: number): number;
  /** Kombu's number, whatever it is, as ours. */
  fromKombu(kombu: unknown): number;
}

/**
 * Ours, 0 to 9, count up, and 0 is what a task has that was given none. Kombu's count down, and 0, its most urgent, is what
 * a task has that was given none. A queue that both use has one list for those, or one side would wait for the other; so
 * one order cannot hold for both:
 *
 * ```text
 *   priority:    none    1  2  3    4  5  6    7  8  9
 *   list, own:      q      q␆␖9       q␆␖6       q␆␖3     we take 9 to 1, then those without one; Kombu those first
 *   priority:    none  8  9  5  6  7  2  3  4    1
 *   list, kombu:      q       q␆␖3     q␆␖6    q␆␖9       both take them in this order
 *   list, none:       q                                   whatever the priority is
 * ```
 */
export const PRIORITY_SCHEMES: Readonly<Record<RedisPriorities, PriorityScheme>> = {
  own: {
    levels: 4,
    order: '2341',
    toKombu: (priority) => (priority === 0 ? 0 : 12 - priority),
    fromKombu: (kombu) => {
      const number = wholeNumber(kombu);
      return number < 3 ? 0 : Math.max(1, 12 - number);
    },
  },
  kombu: {
    levels: 4,
    order: '1234',
    toKombu: (priority) => (priority === 0 ? 0 : 10 - priority),
    fromKombu: (kombu) => {
      const number = wholeNumber(kombu);
      return number === 0 ? 0 : Math.max(1, 10 - number);
    },
  },
  none: {
    levels: 0,
    order: '1234',
    toKombu: () => 0,
    fromKombu: () => 0,
  },
};

/** Number of the list, 1 to 4, that a message of Kombu's priority goes to. */
export function listOf(kombuPriority: number): number {
  return kombuPriority < 3 ? 1 : kombuPriority < 6 ? 2 : kombuPriority < 9 ? 3 : 4;
}

/** 0 for what is no number, or less. */
function wholeNumber(value: unknown): number {
  return typeof value === 'number' && value > 0 ? Math.trunc(value) : 0;
}
