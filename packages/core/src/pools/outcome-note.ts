import { decodeValue, encodeValue } from '../message/encoded-value.js';
import { errorFromFailure, failureFrom } from '../message/failure.js';
import type { Serializer, SerializerRegistry } from '../message/serializer.js';
import type { Execution } from '../ports/execution-pool.js';
import type { EncodedValue } from '../ports/result-backend.js';
import type { Judgement } from '../task/judgement.js';
import { judge, plainFailure } from '../task/judgement.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { Outcome } from '../task/task-outcome.js';
import type { OutcomeNote } from './pool-protocol.js';

export interface NoteOptions {
  readonly serializer: Serializer;
  /** Undefined for a task that is not known here. */
  readonly definition: TaskDefinition | undefined;
}

/** In the child. What cannot be encoded or judged is an outcome, too: it never throws. */
export function noteOutcome(outcome: Outcome, execution: Execution, options: NoteOptions): OutcomeNote {
  const { serializer, definition } = options;
  try {
    switch (outcome.kind) {
      case 'succeeded': {
        const value = execution.wantsValue ? encodeValue(serializer, outcome.value, 'result') : undefined;
        return { kind: 'succeeded', value };
      }
      case 'failed':
        return { kind: 'failed', judgement: judged(definition, outcome.error) };
      case 'retry':
        return noteRetry(outcome, options);
      case 'rejected': {
        const { kind, reason, requeue, error } = outcome;
        return { kind, reason, requeue, ...(error === undefined ? {} : { failure: failureFrom(error) }) };
      }
      case 'snoozed':
      case 'ignored':
        return outcome;
      default:
        return { kind: 'undecided', judgement: plainFailure(new Error(`A run cannot end ${outcome.kind}.`)) };
    }
  } catch (error) {
    return { kind: 'undecided', judgement: undecided(outcome, options, error) };
  }
}

/** In the worker. A value is decoded only when somebody wants it: mostly it goes to the store as it is. */
export function outcomeFromNote(note: OutcomeNote, serializers: SerializerRegistry): Outcome {
  switch (note.kind) {
    case 'succeeded':
      return note.value === undefined ? { kind: 'succeeded', value: undefined } : new Encoded(note.value, serializers);
    case 'failed':
      return { kind: 'failed', error: errorFromFailure(note.judgement.failure), judgement: note.judgement };
    case 'retry': {
      const { kind, options, call, judgement } = note;
      const [args, kwargs] =
        call === undefined ? [] : (decodeValue(serializers, call) as [unknown[] | null, object | null]);
      return {
        kind,
        options: {
          ...options,
          ...(args ? { args } : {}),
          ...(kwargs ? { kwargs: kwargs as Readonly<Record<string, unknown>> } : {}),
          ...(judgement === undefined ? {} : { cause: errorFromFailure(judgement.failure) }),
        },
        ...(judgement === undefined ? {} : { judgement }),
      };
    }
    default:
      return note;
  }
}

class Encoded {
  readonly kind = 'succeeded';

  constructor(
    readonly encoded: EncodedValue,
    private readonly serializers: SerializerRegistry,
  ) {}

  get value(): unknown {
    return decodeValue(this.serializers, this.encoded);
  }
}

function noteRetry(
  { options }: Extract<Outcome, { kind: 'retry' }>,
  { serializer, definition }: NoteOptions,
): OutcomeNote {
  const { countdown, eta, max, args, kwargs, cause } = options;
  const call =
    args === undefined && kwargs === undefined
      ? undefined
      : encodeValue(serializer, [args ?? null, kwargs ?? null], ['args', 'kwargs']);
  return {
    kind: 'retry',
    options: {
      ...(countdown === undefined ? {} : { countdown }),
      ...(eta === undefined ? {} : { eta }),
      ...(max === undefined ? {} : { max }),
    },
    ...(call === undefined ? {} : { call }),
    ...(cause === undefined ? {} : { judgement: judged(definition, cause) }),
  };
}

/** As data: its parts are found out here and now. */
function judged(definition: TaskDefinition | undefined, error: unknown): Judgement {
  if (definition === undefined) return plainFailure(error);
  const { failure, retried, expected } = judge(definition, error);
  return { failure, retried, expected };
}

/** A result that cannot be kept may be what the task says it throws; a test that threw is not asked again. */
function undecided(outcome: Outcome, { definition }: NoteOptions, error: unknown): Judgement {
  if (outcome.kind !== 'succeeded' || definition === undefined) return plainFailure(error);
  try {
    return { ...judged(definition, error), retried: false };
  } catch (again) {
    return plainFailure(again);
  }
}
