import { expect } from 'vitest';
import type { Answer, Storefront } from './storefront-processes.js';

/** Calls of the API, as tests make them. */
export interface StorefrontClient {
  readonly get: (path: string) => Promise<Answer>;
  readonly post: (path: string, body?: unknown) => Promise<Answer>;
  /** With the admin key. */
  readonly admin: (method: string, path: string, body?: unknown) => Promise<Answer>;
  /** Sends work, which must be accepted, and gives its task id. */
  readonly accepted: (path: string, body: unknown) => Promise<string>;
  /** Creates something under `/admin`, which must succeed, and gives what was created. */
  readonly created: (path: string, body: unknown) => Promise<any>;
}

/** The storefront may start later than this is called. */
export function clientOf(storefront: () => Storefront): StorefrontClient {
  const post = (path: string, body?: unknown): Promise<Answer> => storefront().call('POST', path, body);
  const admin = (method: string, path: string, body?: unknown): Promise<Answer> =>
    storefront().admin(method, path, body);
  return {
    get: (path) => storefront().call('GET', path),
    post,
    admin,
    accepted: async (path, body) => {
      const { status, body: answer } = await post(path, body);
      expect(status, JSON.stringify(answer)).toBe(202);
      expect(answer).toEqual({ taskId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string });
      return answer.taskId as string;
    },
    created: async (path, body) => {
      const { status, body: answer } = await admin('POST', path, body);
      expect(status, JSON.stringify(answer)).toBe(201);
      return answer;
    },
  };
}
