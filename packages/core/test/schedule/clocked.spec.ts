import { describe, expect, it } from 'vitest';
import { ClockedSchedule } from '../../src/schedule/clocked.js';

describe('clocked', () => {
  const schedule = new ClockedSchedule({ kind: 'clocked', at: Date.parse('2026-05-01T09:00:00Z') });

  it('comes once', () => {
    const at = Date.parse('2026-05-01T09:00:00Z');
    expect(schedule.next(at - 1)).toBe(at);
    expect(schedule.next(at)).toBeUndefined();
  });

  it('is told in words', () => {
    expect(schedule.describe()).toBe('once at 2026-05-01T09:00:00.000Z');
  });
});
