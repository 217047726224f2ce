import { expect, it } from 'vitest';
import { CRONTAB, SOLAR } from '../../src/admin/schedules/schedule-kinds.js';
import { scheduleErrors } from '../../src/admin/schedules/schedules.service.js';

it('refuses schedules that never fall due, by the field that makes them so', () => {
  const never = { minute: '0', dayOfMonth: '31', monthOfYear: 'feb' };
  expect(scheduleErrors(CRONTAB, never, 'crontab.')).toMatchObject([{ field: 'crontab.dayOfMonth' }]);
  const pole = { event: 'sunset', latitude: 90, longitude: 0 } as const;
  expect(scheduleErrors(SOLAR, pole, 'solar.')).toEqual([
    { field: 'solar.latitude', message: 'sunset never comes at this place' },
  ]);
  expect(scheduleErrors(SOLAR, { ...pole, latitude: 70 }, 'solar.')).toEqual([]);
});
