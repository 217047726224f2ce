import type { KeepAliveLoop } from '@taskqueue/core';
import { becomeReady, connect, createClient } from './redis-connection.js';
import type { ResolvedRedisOptions } from './redis-options.js';
import { callScript, scriptNamed } from './redis-script.js';

/** What the thread needs to renew one consumer's leases. Structured-cloneable. */
export interface KeepAliveData {
  readonly options: ResolvedRedisOptions;
  readonly consumer: string;
  /** Keys of the calls: for each queue `leased`, `consumers` and `wake`; in a cluster a call for each queue. */
  readonly calls: readonly (readonly string[])[];
}

const KEYS_OF_QUEUE = 3;

/** Renews a consumer's leases over a connection of its own, from a thread that no handler can block. */
export async function keepAlive(data: unknown): Promise<KeepAliveLoop> {
  const { options, consumer, calls } = data as KeepAliveData;
  const client = createClient(options, 'keep-alive');
  // A connection that breaks fails the next renewal; it must not end the process.
  client.on('error', () => undefined);
  await connect(client);
  const script = scriptNamed('extend');
  const renewCall = async (keys: readonly string[], leaseMs: number): Promise<boolean> => {
    const none = Array.from({ length: keys.length / KEYS_OF_QUEUE }, () => 0);
    const answers = await callScript(client, script, keys, [consumer, Math.ceil(leaseMs), ...none]);
    return (answers as unknown[]).every((answer) => answer !== -1);
  };
  return {
    async renew(leaseMs) {
      await becomeReady(client, leaseMs / 3);
      const renewed = await Promise.all(calls.map((keys) => renewCall(keys, leaseMs)));
      return renewed.every(Boolean);
    },
    close() {
      client.disconnect();
      return Promise.resolve();
    },
  };
}
