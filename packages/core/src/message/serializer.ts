import { ConfigurationError, MessageError, showValue } from '../errors/errors.js';
import type { ConfigurationProblem } from '../errors/errors.js';
import type { MessageBody } from './encoded-message.js';
import { bodyBytes } from './encoded-message.js';
import type { PayloadLimits } from './payload-limits.js';

/** Turns values into bytes and back. Synchronous and pure. */
export interface Serializer {
  /** Short name for settings, e.g. `json`. */
  readonly name: string;
  /** Media type on the wire, e.g. `application/json`. */
  readonly contentType: string;
  /** `utf-8` for text, `binary` otherwise. */
  readonly contentEncoding: string;
  /**
   * Throws UsageError VALUE_NOT_SERIALIZABLE that names the path of what cannot be sent. `names` is what the value is
   * called in that path (default `value`), or, for a tuple, what its elements are called.
   */
  encode(value: unknown, names?: string | readonly string[]): MessageBody;
  /** Throws MessageError DECODE_FAILED. `limits` replace those the serializer was made with. */
  decode(bytes: Uint8Array, limits?: PayloadLimits): unknown;
  /** The same for text that stands for its UTF-8 bytes; without it, text is turned into bytes first. */
  decodeText?(text: string, limits?: PayloadLimits): unknown;
}

/** Reads a body in either form. */
export function decodeBodyWith(serializer: Serializer, body: MessageBody, limits?: PayloadLimits): unknown {
  if (typeof body !== 'string') return serializer.decode(body, limits);
  return serializer.decodeText === undefined
    ? serializer.decode(bodyBytes(body), limits)
    : serializer.decodeText(body, limits);
}

export interface SerializerRegistryOptions {
  readonly serializers: readonly Serializer[];
  /** Names or media types that are accepted from the wire. Default: all of `serializers`. */
  readonly accept?: readonly string[];
}

/**
 * The serializers a process accepts. What was not accepted by configuration is refused, so that a sender cannot choose
 * the decoder. Python's pickle is refused always: reading it runs the sender's code.
 */
export class SerializerRegistry {
  /** Media types that are accepted. */
  readonly accepted: readonly string[];
  private readonly byContentType: ReadonlyMap<string, Serializer>;
  private readonly byName: ReadonlyMap<string, Serializer>;

  /** Throws ConfigurationError for pickle and for an accepted type that no serializer reads. */
  constructor({ serializers, accept }: SerializerRegistryOptions) {
    this.byName = new Map(serializers.map((serializer) => [serializer.name, serializer]));
    const problems = serializers.flatMap((serializer, index) => pickleProblem(serializer, `serializers[${index}]`));
    const accepted = (accept ?? serializers.map(({ contentType }) => contentType)).flatMap((entry, index) => {
      const path = `accept[${index}]`;
      const found = serializers.find(({ name, contentType }) => entry === name || entry === contentType);
      const pickle = PICKLE.has(entry) ? [pickled(path, entry)] : [];
      problems.push(...pickle, ...(found === undefined && pickle.length === 0 ? [unread(path, entry)] : []));
      return found === undefined ? [] : [found];
    });
    if (problems.length > 0) throw new ConfigurationError(problems);
    this.byContentType = new Map(accepted.map((serializer) => [serializer.contentType, serializer]));
    this.accepted = [...this.byContentType.keys()];
  }

  /** The serializer that reads a media type; parameters such as `; charset=utf-8` are ignored. Throws CONTENT_NOT_ACCEPTED. */
  forContentType(contentType: string): Serializer {
    const found = this.byContentType.get(contentType) ?? this.byContentType.get(withoutParameters(contentType));
    if (found !== undefined) return found;
    throw new MessageError({
      code: 'CONTENT_NOT_ACCEPTED',
      message: `Content type ${showValue(contentType)} is not accepted; accepted: ${this.accepted.join(', ')}.`,
      remedy: PICKLE.has(contentType)
        ? 'Pickle is never accepted; let the sender use JSON.'
        : 'Let the sender use an accepted type, or register a serializer for this one.',
      fields: { contentType, accepted: this.accepted },
    });
  }

  /** A registered serializer by name, accepted or not, for sending. Throws ConfigurationError. */
  named(name: string): Serializer {
    const found = this.byName.get(name);
    if (found !== undefined) return found;
    const expected = `one of ${[...this.byName.keys()].join(', ')}`;
    throw new ConfigurationError([{ path: 'serializer', expected, value: name }]);
  }
}

const PICKLE: ReadonlySet<string> = new Set([
  'pickle',
  'application/x-python-serialize',
  'application/x-python-pickle',
]);

/** Is it a name or a media type of Python's pickle? */
export function isPickle(text: string): boolean {
  return PICKLE.has(text);
}

function pickleProblem(serializer: Serializer, path: string): ConfigurationProblem[] {
  const { name, contentType } = serializer;
  return PICKLE.has(name) || PICKLE.has(contentType) ? [pickled(path, contentType)] : [];
}

function pickled(path: string, value: string): ConfigurationProblem {
  return {
    path,
    expected: 'a data format',
    value,
    remedy: 'Reading pickle runs code that the sender chose; use JSON.',
  };
}

function unread(path: string, value: string): ConfigurationProblem {
  return { path, expected: 'the name or content type of a registered serializer', value };
}

function withoutParameters(contentType: string): string {
  return typeof contentType === 'string' ? (contentType.split(';', 1)[0] as string).trim().toLowerCase() : '';
}
