import { createHash } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { LUA } from './generated/lua.js';
import { ScriptCommand } from './script-command.js';

export type ScriptName = keyof typeof LUA;

/** A script, its text, and the name by which a server that knows it calls it. */
export interface Script {
  readonly name: string;
  readonly lua: string;
  readonly sha: string;
}

/** One of the scripts that are compiled from `lua/`. */
export function scriptNamed(name: ScriptName): Script {
  let script = scripts.get(name);
  if (script === undefined) {
    script = { name, lua: LUA[name], sha: createHash('sha1').update(LUA[name]).digest('hex') };
    scripts.set(name, script);
  }
  return script;
}

const scripts = new Map<ScriptName, Script>();

/**
 * Calls a script by its name, and with its text where the server does not know it (after a restart, a failover or
 * `SCRIPT FLUSH`): that answer is given before anything is done, so to call again repeats nothing.
 */
export function callScript(
  client: Redis | Cluster,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  return send(client, 'evalsha', script.sha, keys, args).catch((error: unknown) => {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return send(client, 'eval', script.lua, keys, args);
  });
}

/** Past the client's own wrappers, which flatten and copy arguments: there are thousands of them. */
function send(
  client: Redis | Cluster,
  name: 'eval' | 'evalsha',
  text: string,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  const command = new ScriptCommand(name, [text, keys.length, ...keys, ...args], { replyEncoding: 'utf8' });
  return client.sendCommand(command) as Promise<unknown>;
}
