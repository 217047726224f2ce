import { describe, expect, it } from 'vitest';
import { ZoneTimeline, isTimeZone } from '../../src/schedule/zone-timeline.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe('time zone', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5'])('%s is known', (name) => {
    expect(isTimeZone(name)).toBe(true);
  });

  it.each(['Mars/Olympus', 'local', 'system', '', 'Europe/Berlin ', 'x'.repeat(65), undefined, 1])(
    '%s is not',
    (name) => {
      expect(isTimeZone(name)).toBe(false);
    },
  );

  it('has one piece when nothing changes nearby', () => {
    const pieces = new ZoneTimeline('Asia/Tokyo').around(20_000);
    expect(pieces).toEqual([{ from: -Infinity, to: Infinity, offset: 9 * HOUR }]);
  });

  it('is cut at a change, found from the day before and the day after too', () => {
    const change = Date.parse('2026-03-29T01:00:00Z');
    for (const day of [-1, 0, 1]) {
      expect(new ZoneTimeline('Europe/Berlin').around(Math.floor(change / DAY) + day)).toEqual([
        { from: -Infinity, to: change, offset: HOUR },
        { from: change, to: Infinity, offset: 2 * HOUR },
      ]);
    }
  });

  it('finds two changes a week apart, and answers the same on a long walk as at first', () => {
    const first = Math.floor(Date.parse('2000-09-01T00:00:00Z') / DAY);
    const walk = (timelineOn: () => ZoneTimeline) =>
      Array.from({ length: 90 }, (_, day) => timelineOn().around(first + day).length);
    const timeline = new ZoneTimeline('America/Recife');
    const pieces = walk(() => timeline);
    expect(pieces.filter((count) => count === 2)).toHaveLength(6);
    expect(walk(() => timeline)).toEqual(pieces);
    expect(walk(() => new ZoneTimeline('America/Recife'))).toEqual(pieces);
  });
});
