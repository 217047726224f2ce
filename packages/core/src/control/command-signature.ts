import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../ambient/clock.js';
import type { EncodedMessage } from '../message/encoded-message.js';
import { bodyBytes } from '../message/encoded-message.js';
import type { Publication } from '../ports/channel.js';

/** Ours; Python passes them over. */
const ID = 'taskqueue_command_id';
const SIGNED_AT = 'taskqueue_signed_at';
const SIGNATURE = 'taskqueue_signature';

/** A signature is good for so long, and clocks may differ by as much. */
const VALID_MS = 60_000;

/**
 * Signs commands with a secret that those who give commands and the workers share: HMAC-SHA256 of an id, the time and the body,
 * in headers beside Celery's own.
 *
 * ```text
 *   command ──signed──► heard: signature right? ─► signed within a minute? ─► id new? ──► obeyed, id remembered for two minutes
 *                              └── no ───────────────┴── no ───────────────────┴─ no ──► refused, with the reason
 * ```
 */
export class CommandSigner {
  constructor(
    private readonly secret: string,
    private readonly clock: Clock,
  ) {}

  sign({ channel, message }: Publication): Publication {
    const id = randomUUID();
    const at = this.clock.now();
    const signature = signatureOf(this.secret, { id, at, body: bodyBytes(message.body) });
    const headers = { ...message.headers, [ID]: id, [SIGNED_AT]: at, [SIGNATURE]: signature };
    return { channel, message: { ...message, headers } };
  }
}

/** The other side; each who hears commands has one of his own. */
export class CommandVerifier {
  /** Ids that were used → when they may be forgotten, because the signature is too old by then. */
  private readonly used = new Map<string, number>();

  constructor(
    private readonly secret: string,
    private readonly clock: Clock,
  ) {}

  /** Undefined for a command that may be obeyed, once; else why not. */
  refusal({ headers, body }: EncodedMessage): string | undefined {
    const { [ID]: id, [SIGNED_AT]: at, [SIGNATURE]: signature } = headers;
    if (typeof id !== 'string' || typeof at !== 'number' || typeof signature !== 'string') return 'it is not signed';
    if (!isSame(signature, signatureOf(this.secret, { id, at, body: bodyBytes(body) })))
      return 'its signature is wrong';
    const now = this.clock.now();
    if (Math.abs(now - at) > VALID_MS) return 'it was signed more than a minute ago, or the clocks differ';
    for (const [old, until] of this.used) {
      if (until > now) break;
      this.used.delete(old);
    }
    if (this.used.has(id)) return 'it was heard before';
    this.used.set(id, now + 2 * VALID_MS);
    return undefined;
  }
}

interface Signed {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly body: Uint8Array;
}

function signatureOf(secret: string, { id, at, body }: Signed): string {
  return createHmac('sha256', secret).update(`taskqueue command 1\n${id}\n${at}\n`).update(body).digest('hex');
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
