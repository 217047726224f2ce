import type { DeadLetter, MessageStatus, QueuedMessage, QueueFacts, QueueInspector } from '../ports/queue-inspector.js';
import { checkListLimit, unknownCursor } from '../ports/list-query.js';
import type { MemoryMessage, MemoryState } from './memory-state.js';

/** The inspector port in memory. */
export class MemoryInspector implements QueueInspector {
  constructor(private readonly state: MemoryState) {}

  queues(): Promise<readonly QueueFacts[]> {
    return Promise.resolve([...this.state.queues.keys()].sort().map((name) => this.facts(name)));
  }

  peek(query: { queue: string; status: MessageStatus; limit: number }): Promise<readonly QueuedMessage[]> {
    const found = this.inQueue(query.queue).filter((message) => this.status(message) === query.status);
    return Promise.resolve(found.slice(0, query.limit).map(queued));
  }

  purge(queue: string): Promise<number> {
    const waiting = this.inQueue(queue).filter((m) => m.status === 'ready' || m.status === 'delayed');
    for (const message of waiting) this.state.messages.delete(message.outgoing.id);
    return Promise.resolve(waiting.length);
  }

  pause(queue: string): Promise<void> {
    this.state.queue(queue).paused = true;
    return Promise.resolve();
  }

  resume(queue: string): Promise<void> {
    this.state.queue(queue).paused = false;
    this.state.announceReady();
    return Promise.resolve();
  }

  async deadLetters(query: { queue?: string; limit: number; cursor?: string }): Promise<{
    messages: readonly DeadLetter[];
    nextCursor?: string;
  }> {
    checkListLimit(query.limit);
    const before = readPosition(query.cursor);
    const dead = [...this.state.messages.values()]
      .filter((m) => m.status === 'dead' && (query.queue === undefined || m.outgoing.queue === query.queue))
      .filter((m) => m.diedAt < before.diedAt || (m.diedAt === before.diedAt && m.sequence < before.sequence))
      .sort((a, b) => b.diedAt - a.diedAt || b.sequence - a.sequence);
    const page = dead.slice(0, query.limit);
    const messages = page.map((m): DeadLetter => ({ ...queued(m), reason: m.reason, diedAt: m.diedAt }));
    const last = page.at(-1);
    if (dead.length === page.length || last === undefined) return { messages };
    return { messages, nextCursor: `${last.diedAt}.${last.sequence}` };
  }

  redrive(taskIds: readonly string[]): Promise<readonly string[]> {
    const redriven = taskIds.filter((id) => this.state.messages.get(id)?.status === 'dead');
    for (const id of redriven) {
      const message = this.state.messages.get(id) as MemoryMessage;
      message.status = 'ready';
      message.lostLeases = 0;
      message.reason = '';
      // What is redriven must be able to end anew.
      this.state.results.delete(id);
    }
    this.state.announceReady();
    return Promise.resolve(redriven);
  }

  private facts(name: string): QueueFacts {
    const messages = this.inQueue(name);
    const count = (status: string): number => messages.filter((m) => this.status(m) === status).length;
    const oldest = messages.filter((m) => this.status(m) === 'ready').map((m) => m.enqueuedAt);
    return {
      name,
      paused: this.state.queue(name).paused,
      ready: count('ready'),
      delayed: count('delayed'),
      leased: count('leased'),
      dead: count('dead'),
      oldestReadyMs: oldest.length === 0 ? undefined : this.state.clock.now() - Math.min(...oldest),
    };
  }

  private status(message: MemoryMessage): string {
    return message.status === 'delayed' && message.dueAt <= this.state.clock.now() ? 'ready' : message.status;
  }

  private inQueue(queue: string): MemoryMessage[] {
    return [...this.state.messages.values()]
      .filter((message) => message.outgoing.queue === queue)
      .sort((a, b) => a.sequence - b.sequence);
  }
}

function readPosition(cursor: string | undefined): { readonly diedAt: number; readonly sequence: number } {
  if (cursor === undefined) return { diedAt: Infinity, sequence: Infinity };
  const [, diedAt, sequence] = /^(\d{1,15})\.(\d{1,15})$/.exec(cursor) ?? [];
  if (diedAt === undefined) throw unknownCursor(cursor);
  return { diedAt: Number(diedAt), sequence: Number(sequence) };
}

function queued(message: MemoryMessage): QueuedMessage {
  return {
    id: message.outgoing.id,
    task: message.outgoing.task,
    queue: message.outgoing.queue,
    priority: message.outgoing.priority,
    enqueuedAt: message.enqueuedAt,
    eta: message.status === 'delayed' ? message.dueAt : undefined,
    message: message.outgoing.message,
  };
}
