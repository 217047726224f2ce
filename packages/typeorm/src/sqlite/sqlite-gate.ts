import { AsyncLocalStorage } from 'node:async_hooks';
import { BrokerError } from '@taskqueue/core';

/** One open transaction on the shared connection, and who may work in it besides its owner. */
export interface SqliteScope {
  readonly gate: SqliteGate;
  /** `ended`: committed or rolled back; what still runs in its asynchronous context is outside again. */
  state: 'new' | 'open' | 'ended';
  /** Transactions inside this one take turns here. */
  readonly inner: Turnstile;
  readonly parent: SqliteScope | undefined;
  /** The connection that has the transaction open; set when it begins. */
  connection: unknown;
}

/** Longest wait for a turn; a transaction that is open for longer was forgotten. */
const LONGEST_WAIT_MS = 60_000;

/** Lets one in at a time, first come, first served. */
export class Turnstile {
  private busy = false;
  private readonly waiting: (() => void)[] = [];

  /** Takes the turn without waiting, if nobody has it. */
  tryEnter(): boolean {
    if (this.busy) return false;
    this.busy = true;
    return true;
  }

  /** Resolves when it is our turn; `leave` must follow. Rejects with BROKER_UNAVAILABLE after a minute. */
  enter(): Promise<void> {
    if (this.tryEnter()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const index = this.waiting.indexOf(admit);
        if (index >= 0) this.waiting.splice(index, 1);
        reject(forgotten());
      }, LONGEST_WAIT_MS);
      timer.unref();
      const admit = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.waiting.push(admit);
    });
  }

  leave(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.busy = false;
    else next();
  }
}

/**
 * One database file in one process. SQLite has one writer at a time, and a writer that finds the lock taken can only
 * wait with its thread; when the lock's owner is an open transaction of the same thread, that wait never ends well.
 * So everything in this process that writes to the file queues here first:
 *
 * ```text
 *   transaction() ──enter──► BEGIN IMMEDIATE … COMMIT ──leave──►
 *   plain statement ─enter─► statement ──leave──►            first come, first served
 *   broker's own handle ──enter──► whole transaction ──leave──►
 *        any of them, called inside an open transaction's own flow: joins that transaction
 * ```
 */
export class SqliteGate {
  readonly turnstile = new Turnstile();
  private readonly scopes = new AsyncLocalStorage<SqliteScope | undefined>();

  /** The innermost open transaction in whose flow we are. */
  current(): SqliteScope | undefined {
    let scope = this.scopes.getStore();
    while (scope !== undefined && scope.state !== 'open') scope = scope.parent;
    return scope;
  }

  /** Runs `body` in the flow of a transaction that is about to begin. */
  enclose<T>(body: (scope: SqliteScope) => T): T {
    const scope: SqliteScope = {
      gate: this,
      state: 'new',
      inner: new Turnstile(),
      parent: this.current(),
      connection: undefined,
    };
    return this.scopes.run(scope, () => body(scope));
  }

  /** The scope that {@link enclose} made for this flow, open or not. */
  enclosing(): SqliteScope | undefined {
    return this.scopes.getStore();
  }

  /** Runs `body` as if in no transaction's flow; for loops of our own that a user's call happened to start. */
  outside<T>(body: () => T): T {
    return this.scopes.exit(body);
  }
}

const GATES: unique symbol = Symbol.for('@taskqueue/typeorm/sqlite-gates') as never;

/** The gate of a file; one for the whole process, also when two copies of this package are loaded. */
export function gateOf(path: string): SqliteGate {
  const holder = globalThis as { [GATES]?: Map<string, SqliteGate> };
  const gates = (holder[GATES] ??= new Map());
  let gate = gates.get(path);
  if (gate === undefined) {
    gate = new SqliteGate();
    gates.set(path, gate);
  }
  return gate;
}

function forgotten(): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: `An SQLite transaction of this process has been open for ${LONGEST_WAIT_MS / 1_000} seconds while others waited.`,
    remedy:
      'Commit or roll back every query runner, and inside a transaction use its own manager, or dataSource.transaction().',
    retryable: true,
  });
}
