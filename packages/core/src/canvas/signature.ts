import type { WireSignature } from '../message/task-message.js';

/** Options of a signature that travel with it, in Celery's spelling. */
export interface SignatureOptions {
  readonly task_id?: string;
  readonly queue?: string;
  readonly priority?: number;
  readonly countdown?: number;
  readonly [option: string]: unknown;
}

/**
 * A task call as a value: what to call, with which arguments and options. It is sent by a client, or travels inside
 * another message as its callback, errback or the next step of its chain. Immutable; every method makes a new one.
 * `R` is the type of the task's result.
 */
export class Signature<R = unknown> {
  declare protected readonly result: R;

  constructor(
    readonly task: string,
    readonly args: readonly unknown[] = [],
    readonly kwargs: Readonly<Record<string, unknown>> = {},
    readonly options: SignatureOptions = {},
    /** An immutable signature ignores the result of the task before it. */
    readonly immutable: boolean = false,
  ) {}

  /** The same call with further options. */
  set(options: SignatureOptions): Signature<R> {
    return new Signature<R>(this.task, this.args, this.kwargs, { ...this.options, ...options }, this.immutable);
  }

  /** Run `next` with this task's result prepended when it succeeds. */
  link(next: Signature): Signature<R> {
    return this.set({ link: [...signatures(this.options['link']), next.toWire()] });
  }

  /** Run `errback` with this task's id when it finally fails. */
  linkError(errback: Signature): Signature<R> {
    return this.set({ link_error: [...signatures(this.options['link_error']), errback.toWire()] });
  }

  /** As it stands in a message. */
  toWire(): WireSignature {
    return {
      task: this.task,
      args: [...this.args],
      kwargs: { ...this.kwargs },
      options: { ...this.options },
      subtask_type: null,
      immutable: this.immutable,
    };
  }

  /** From a message. */
  static fromWire(wire: WireSignature): Signature {
    return new Signature(wire.task, wire.args, wire.kwargs, wire.options, wire.immutable);
  }
}

/** Signatures in an option that may hold one, several or none. */
export function signatures(option: unknown): readonly WireSignature[] {
  if (option === undefined || option === null) return [];
  return (Array.isArray(option) ? option : [option]) as readonly WireSignature[];
}
