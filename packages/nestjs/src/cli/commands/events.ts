import type { Command } from 'commander';
import type { ClusterEvent, ClusterEventType, Duration } from '@taskqueue/core';
import { parseDuration, stopSignals } from '@taskqueue/core';
import { wrongUse } from '../command-failure.js';
import { cell, count, instant } from '../output.js';
import type { QueueWork } from '../queue-command.js';
import { queueCommand } from '../queue-command.js';
import { LiveTable } from './live-table.js';

/** `taskqueue events`: what happens, as it happens. */
export function addEvents(program: Command): void {
  queueCommand(
    program,
    {
      synopsis: 'events',
      summary: 'what workers tell, until Ctrl-C: a live table on a terminal, a line an event otherwise',
      examples: ['events', 'events --json --types task-failed,task-retried', 'events --lines --limit 10'],
    },
    listen,
  )
    .option('--types <names>', 'only these, separated by commas: task-failed, worker-online, …')
    .option('--limit <n>', 'end after so many')
    .option('--timeout <duration>', 'end after so long')
    .option('--lines', 'lines on a terminal, too');
}

async function listen({ runtime, output, options }: QueueWork): Promise<void> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const limit = limitOf(options['limit'] as string | undefined);
  const live =
    process.stdout.isTTY && !output.json && options['lines'] !== true ? new LiveTable(process.stdout) : undefined;
  const types = typeof options['types'] === 'string' ? options['types'].split(',').map((one) => one.trim()) : undefined;
  let heard = 0;
  const subscription = runtime.createEventReceiver().receive(
    (event) => {
      if (heard >= limit) return;
      heard += 1;
      if (live !== undefined) live.hear(event);
      else if (output.json) output.jsonLine(withoutRaw(event));
      else output.write(line(event));
      if (heard >= limit) end();
    },
    { wakeUp: true, ...(types === undefined ? {} : { types: types as ClusterEventType[] }) },
  );
  for (const signal of stopSignals()) process.once(signal, end);
  const timeout = timeoutOf(options['timeout'] as string | undefined);
  const timer = timeout === undefined ? undefined : setTimeout(end, timeout);
  try {
    await subscription.ready;
    live?.start();
    if (live === undefined) output.note('Listening; Ctrl-C ends.');
    if (!ending.signal.aborted) await new Promise((done) => ending.signal.addEventListener('abort', done));
  } finally {
    clearTimeout(timer);
    live?.stop();
    await subscription.close();
  }
  if (live !== undefined) output.note(`${count(heard, 'event')} heard.`);
}

function line(event: ClusterEvent): string {
  const { type, hostname, at, pid, clock, utcoffset, fields, ...own } = event;
  void [pid, clock, utcoffset, fields];
  const told = Object.entries(own as Readonly<Record<string, unknown>>)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${cell(value)}`);
  return [instant(at), type, cell(hostname), ...told].join(' ');
}

/** The fields are told in our words; those of the wire would be the same again. */
function withoutRaw(event: ClusterEvent): unknown {
  return { ...event, fields: undefined };
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return Infinity;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw wrongUse(`--limit must be a whole number from 1, got "${text}".`);
}

function timeoutOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const parsed = parseDuration(text as Duration);
  if (typeof parsed === 'number') return parsed;
  throw wrongUse(`--timeout must be a duration such as 30s, got "${text}".`);
}
