import { ConfigurationError } from '../errors/errors.js';
import type { ConfigurationProblem } from '../errors/errors.js';

/** How large a message body may be. The same limits hold for what is sent and what is received. */
export interface PayloadLimits {
  /** Bytes of the body, compressed and not. Default 1 MiB. */
  readonly maxBytes: number;
  /** Arrays and objects inside one another, the body's own array included. Default 100, at most 1000. */
  readonly maxDepth: number;
  /** Keys of all objects together. Default 10 000. */
  readonly maxKeys: number;
}

export const DEFAULT_PAYLOAD_LIMITS: PayloadLimits = { maxBytes: 1_048_576, maxDepth: 100, maxKeys: 10_000 };

/** Deeper values make JSON libraries, ours included, run out of stack. */
export const GREATEST_MAX_DEPTH = 1_000;

/** Fills in the defaults. Throws ConfigurationError that lists every limit that cannot be. */
export function payloadLimits(init: Partial<PayloadLimits> = {}): PayloadLimits {
  const limits = { ...DEFAULT_PAYLOAD_LIMITS, ...init };
  const problems: ConfigurationProblem[] = [];
  const check = (path: keyof PayloadLimits, max: number): void => {
    const value = limits[path];
    if (Number.isSafeInteger(value) && value >= 1 && value <= max) return;
    problems.push({ path: `limits.${path}`, expected: `a whole number from 1 to ${max}`, value });
  };
  check('maxBytes', Number.MAX_SAFE_INTEGER);
  check('maxDepth', GREATEST_MAX_DEPTH);
  check('maxKeys', Number.MAX_SAFE_INTEGER);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return limits;
}

/**
 * Keys that no message may hold, at any depth: code that copies or merges such an object would change the prototype of
 * others. Refused when sent and when received.
 */
export function isForbiddenKey(key: string): boolean {
  return key === '__proto__' || key === 'constructor' || key === 'prototype';
}
