import { describe, expect, it } from 'vitest';
import { isTerminal, mayReplace, TASK_STATES } from '../../src/task/task-state.js';

describe('task states', () => {
  it('never leave a terminal state, in any run', () => {
    for (const state of TASK_STATES.filter(isTerminal)) {
      for (const next of TASK_STATES)
        expect(mayReplace({ state, run: 1 }, { state: next, run: 9 }), `${state} → ${next}`).toBe(false);
    }
  });

  it('may all begin anew in a later run, and never fall back to an earlier one', () => {
    for (const state of TASK_STATES.filter((one) => !isTerminal(one))) {
      for (const next of TASK_STATES) {
        expect(mayReplace({ state, run: 2 }, { state: next, run: 3 })).toBe(true);
        expect(mayReplace({ state, run: 2 }, { state: next, run: 1 })).toBe(false);
      }
    }
  });

  it('only advance within one run', () => {
    const order = ['PENDING', 'RECEIVED', 'STARTED', 'PROGRESS', 'RETRY', 'SUCCESS'] as const;
    order.forEach((state, from) =>
      order.forEach((next, to) => {
        const allowed = !isTerminal(state) && to >= from;
        expect(mayReplace({ state, run: 1 }, { state: next, run: 1 }), `${state} → ${next}`).toBe(allowed);
      }),
    );
  });
});
