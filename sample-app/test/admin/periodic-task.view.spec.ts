import type { PeriodicTask } from '@taskqueue/typeorm';
import { expect, it } from 'vitest';
import { viewOf } from '../../src/admin/periodic-tasks/periodic-task.view.js';

const ROW = {
  id: 1,
  name: 'edited by hand',
  task: 'tick',
  args: '[1,',
  kwargs: '',
  headers: '{',
  expires: 1e17,
  startTime: null,
  lastRunAt: null,
  declared: null,
  enabled: true,
  crontab: null,
  interval: null,
  solar: null,
  clocked: { id: 2, clockedTime: 1e17 },
};

it('a row that somebody broke with plain SQL is shown as it is, and takes no list with it', () => {
  expect(viewOf(ROW as unknown as PeriodicTask, 0)).toMatchObject({
    args: '[1,',
    kwargs: {},
    headers: '{',
    expires: '100000000000000000',
    clocked: { id: 2, at: '100000000000000000' },
    schedule: expect.stringMatching(/^invalid: clocked\.at/) as string,
    nextRuns: [],
  });
});
