import { randomBytes, timingSafeEqual, createHash } from 'node:crypto';
import { settings } from '../settings.js';

/** The key of the admin API. Without `ADMIN_API_KEY` one is made for this run, but not in production. */
export const adminKey: { readonly value: string; readonly generated: boolean } = makeKey();

/** Compares in constant time. */
export function isAdminKey(given: unknown): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return typeof given === 'string' && timingSafeEqual(digest(given), digest(adminKey.value));
}

function makeKey(): { value: string; generated: boolean } {
  if (settings.adminApiKey !== undefined && settings.adminApiKey !== '') {
    return { value: settings.adminApiKey, generated: false };
  }
  if (settings.production) throw new Error('Set ADMIN_API_KEY: in production no admin key is made up.');
  return { value: randomBytes(18).toString('base64url'), generated: true };
}
