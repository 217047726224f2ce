/**
 * Which Celery the messages are written for. Both read the other's messages; only what is written differs.
 *
 * - `5.6` (also 5.3 to 5.5): values JSON has no type for travel in `{"__type__", "__value__"}` envelopes, and the
 *   headers carry stamps.
 * - `5.2`: dates travel as ISO text, bytes cannot be sent, stamps are left out.
 */
export type CeleryDialect = '5.6' | '5.2';
