import type { WriteStream } from 'node:tty';
import type { ClusterEvent } from '@taskqueue/core';
import { eventually } from '@taskqueue/core/testing';
import { describe, expect, it } from 'vitest';
import { LiveTable } from '../../src/cli/commands/live-table.js';
import { ProgressBar } from '../../src/cli/progress-bar.js';

/** Keeps what is written to it. */
class Terminal {
  rows = 12;
  columns = 90;
  readonly written: string[] = [];

  constructor(readonly isTTY = true) {}

  write(text: string): boolean {
    this.written.push(text);
    return true;
  }
}

const event = (fields: object): ClusterEvent =>
  ({ hostname: 'w@host', at: 0, clock: 1, fields: {}, ...fields }) as never;

describe('the live table of events', () => {
  it('shows workers and the latest tasks within the terminal, on a screen of its own that is gone at the end', async () => {
    const terminal = new Terminal();
    const table = new LiveTable(terminal as unknown as WriteStream);
    table.start();
    expect(terminal.written.join('')).toContain('No worker has been heard of.');
    table.hear(event({ type: 'worker-heartbeat', active: 2, processed: 7 }));
    table.hear(event({ type: 'task-received', id: 'first', name: 'Sums.add' }));
    table.hear(event({ type: 'task-succeeded', id: 'first', runtimeMs: 320 }));
    for (let n = 0; n < 40; n += 1) table.hear(event({ type: 'task-started', id: `task-${n}-${'x'.repeat(90)}` }));
    table.hear(event({ type: 'task-received', id: 'last', name: 'Sums.add' }));
    table.hear(event({ type: 'task-succeeded', id: 'last', runtimeMs: 320 }));
    const screen = await eventually(() => {
      const text = terminal.written.at(-1) ?? '';
      expect(text).toMatch(/w@host +online +2 +7/);
      return text;
    });
    expect(screen).toMatch(/last +Sums\.add +succeeded +w@host/);
    expect(screen).not.toContain('first');
    const lines = screen.split('\n');
    expect(lines.length).toBeLessThan(terminal.rows);
    // Of the first line the way to its place is a part.
    expect(Math.max(...lines.slice(1).map((line) => line.length))).toBeLessThanOrEqual(terminal.columns);
    table.hear(event({ type: 'worker-offline' }));
    await eventually(() => expect(terminal.written.at(-1)).toMatch(/w@host +offline/));
    table.stop();
    expect(terminal.written.at(-1)).toBe('\u001b[?25h\u001b[?1049l');
  });
});

describe('the live table on a terminal that does not know its size', () => {
  it('is as large as most terminals are', async () => {
    const terminal = Object.assign(new Terminal(), { rows: 0, columns: 0 });
    const table = new LiveTable(terminal as unknown as WriteStream);
    table.start();
    table.hear(event({ type: 'task-received', id: 'only', name: 'Sums.add' }));
    await eventually(() => expect(terminal.written.at(-1)).toMatch(/only +Sums\.add +received/));
    table.stop();
  });
});

describe('a progress bar', () => {
  it('grows on a terminal and is gone at the end', () => {
    const terminal = new Terminal();
    const bar = new ProgressBar(400, 'put back', terminal as never);
    for (const done of [0, 200, 400]) bar.show(done);
    bar.end();
    expect(terminal.written).toEqual([
      `\r\u001b[K[${'-'.repeat(30)}] 0 of 400 put back`,
      `\r\u001b[K[${'#'.repeat(15)}${'-'.repeat(15)}] 200 of 400 put back`,
      `\r\u001b[K[${'#'.repeat(30)}] 400 of 400 put back`,
      '\r\u001b[K',
    ]);
  });

  it('is a line each where there is none', () => {
    const file = new Terminal(false);
    const bar = new ProgressBar(4, 'put back', file as never);
    bar.show(2);
    bar.end();
    expect(file.written).toEqual(['2 of 4 put back\n']);
  });
});
