import type { WriteStream } from 'node:tty';
import type { ClusterEvent } from '@taskqueue/core';
import { span, table } from '../output.js';

interface Worker {
  name: string;
  active: number | undefined;
  processed: number | undefined;
  state: string;
}

interface Task {
  id: string;
  task: string | undefined;
  state: string;
  worker: string;
  took: string | undefined;
}

/** Redrawn at most so often: events come in bursts. */
const FRAME_MS = 200;
/** Of an id so much is shown: others may choose long ones, and the columns behind them are wanted. */
const ID_LENGTH = 36;
const HOME_AND_CLEAR = '\u001b[H\u001b[J';
const OTHER_SCREEN = '\u001b[?1049h\u001b[?25l';
const FIRST_SCREEN = '\u001b[?25h\u001b[?1049l';

/** Workers and the latest tasks, on a screen of their own that is gone when it ends. */
export class LiveTable {
  private readonly workers = new Map<string, Worker>();
  /** Newest last. */
  private readonly tasks = new Map<string, Task>();
  private timer: NodeJS.Timeout | undefined;
  private changed = true;

  constructor(private readonly terminal: WriteStream) {}

  start(): void {
    this.terminal.write(OTHER_SCREEN);
    this.timer = setInterval(() => this.draw(), FRAME_MS);
    this.draw();
  }

  stop(): void {
    if (this.timer === undefined) return;
    clearInterval(this.timer);
    this.terminal.write(FIRST_SCREEN);
  }

  hear(event: ClusterEvent): void {
    this.changed = true;
    if ('id' in event) this.hearTask(event);
    else this.hearWorker(event);
  }

  /** A terminal that was opened for a process only, as in a container, says that it has none. */
  private get rows(): number {
    return this.terminal.rows || 24;
  }

  private get columns(): number {
    return this.terminal.columns || 80;
  }

  private hearWorker(event: Exclude<ClusterEvent, { readonly id: string }>): void {
    const state = event.type === 'worker-offline' ? 'offline' : 'online';
    const { hostname: name, active, processed } = event;
    this.workers.set(name, { name, active, processed, state });
  }

  private hearTask(event: Extract<ClusterEvent, { readonly id: string }>): void {
    const { id, hostname: worker } = event;
    const known = this.tasks.get(id);
    const task = 'name' in event ? event.name : known?.task;
    const took = event.type === 'task-succeeded' ? span(event.runtimeMs) : undefined;
    this.tasks.delete(id);
    this.tasks.set(id, { id: id.slice(0, ID_LENGTH), task, state: event.type.slice('task-'.length), worker, took });
    const oldest = this.tasks.keys().next().value;
    if (this.tasks.size > this.rows && oldest !== undefined) this.tasks.delete(oldest);
  }

  private draw(): void {
    if (!this.changed) return;
    this.changed = false;
    const workers = table(
      ['name', 'state', 'active', 'processed'],
      rowsOf(this.workers),
      'No worker has been heard of.',
    );
    const tasks = table(
      ['id', 'task', 'state', 'worker', 'took'],
      rowsOf(this.tasks).reverse(),
      'No task has been heard of; workers tell of tasks with --task-events.',
    );
    const lines = `${workers}\n\n${tasks}`.split('\n').slice(0, this.rows - 1);
    this.terminal.write(HOME_AND_CLEAR + lines.map((one) => one.slice(0, this.columns)).join('\n'));
  }
}

function rowsOf(map: ReadonlyMap<string, Worker | Task>): Readonly<Record<string, unknown>>[] {
  return [...map.values()].map((one) => ({ ...one }));
}
