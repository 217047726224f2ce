import { didYouMean } from '../errors/nearest-word.js';
import type { TaskQueueSettingsInit } from './settings.js';
import { DEFAULT_SETTINGS } from './settings.js';

/** Prefix of every variable. */
export const ENVIRONMENT_PREFIX = 'TASKQUEUE_';

/** Settings that hold a list, a number or a flag; all others are text. */
const LISTS: ReadonlySet<string> = new Set(['worker.queues', 'worker.childEnvironment']);

/** Text that may be all digits: a secret, names. */
const TEXTS: ReadonlySet<string> = new Set([
  'defaultQueue',
  'worker.name',
  'worker.controlSecret',
  'worker.healthFile',
  'beat.healthFile',
]);

/** Settings that hold a number for each name: `reports=2,mail=4`. */
const MAPS: ReadonlySet<string> = new Set(['worker.queueConcurrency', 'worker.queueWeights']);

/** Path of a setting → its variable: `worker.trackStarted` → `TASKQUEUE_WORKER_TRACK_STARTED`. */
export function environmentName(path: string): string {
  return (
    ENVIRONMENT_PREFIX +
    path
      .replace(/\.([a-z])/g, '_$1')
      .replace(/([A-Z])/g, '_$1')
      .toUpperCase()
  );
}

/** Paths of all settings. */
export function settingPaths(): readonly string[] {
  return Object.entries(DEFAULT_SETTINGS).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null
      ? Object.keys(value as object).map((inner) => `${key}.${inner}`)
      : [key],
  );
}

/**
 * The settings that the environment gives. Text that does not fit is handed on as it is, so that the validation names
 * it together with every other problem.
 */
export function settingsFromEnvironment(env: Readonly<Record<string, string | undefined>>): TaskQueueSettingsInit {
  const settings: Record<string, unknown> = {};
  for (const path of settingPaths()) {
    const text = env[environmentName(path)];
    if (text === undefined || text === '') continue;
    const [group, key] = path.split('.') as [string, string | undefined];
    const value = parse(path, text);
    if (key === undefined) settings[group] = value;
    else settings[group] = { ...(settings[group] as object | undefined), [key]: value };
  }
  return settings as TaskQueueSettingsInit;
}

/** Where the queue is; read by whoever makes the drivers. */
const URLS = ['TASKQUEUE_URL', 'TASKQUEUE_BROKER_URL', 'TASKQUEUE_RESULTS_URL', 'TASKQUEUE_SCHEDULES_URL'];

/** What Kubernetes gives every pod for a Service named `taskqueue…`. */
const OF_A_SERVICE = /_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/;
const ADDRESS_OF_A_SERVICE = /^(tcp|udp|sctp):\/\//;

/**
 * Says which variables have our prefix and are none of ours, each with the nearest that is; undefined where there are none.
 * They may be another program's, so this is nothing that keeps from starting.
 */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const known = [...settingPaths().map(environmentName), ...URLS];
  const unknown = Object.entries(env).flatMap(([name, value = '']) =>
    !name.startsWith(ENVIRONMENT_PREFIX) || known.includes(name) || isOfService(name, value) ? [] : [name],
  );
  if (unknown.length === 0) return undefined;
  const told = unknown.sort().map((name) => [name, didYouMean(name, known)].filter(Boolean).join(': '));
  const subject =
    unknown.length === 1 ? 'A variable is no setting and is ignored' : 'Variables are no settings and are ignored';
  return `${subject}: ${told.join('; ')}`;
}

function isOfService(name: string, value: string): boolean {
  return OF_A_SERVICE.test(name) || (name.endsWith('_PORT') && ADDRESS_OF_A_SERVICE.test(value));
}

function parse(path: string, text: string): unknown {
  if (LISTS.has(path)) {
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }
  if (TEXTS.has(path)) return text;
  if (MAPS.has(path)) return numbersByName(text);
  const [group, key] = path.split('.') as [keyof typeof DEFAULT_SETTINGS, string | undefined];
  const example =
    key === undefined ? DEFAULT_SETTINGS[group] : (DEFAULT_SETTINGS[group] as unknown as Record<string, unknown>)[key];
  if (typeof example === 'boolean')
    return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
  if (typeof example === 'number' || /^\d+$/.test(text)) return Number.isNaN(Number(text)) ? text : Number(text);
  return text;
}

function numbersByName(text: string): unknown {
  const pairs = text.split(',').map((pair) => /^\s*(.+?)\s*=\s*(\d+)\s*$/.exec(pair));
  if (pairs.includes(null)) return text;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] as string, Number(pair?.[2])]));
}
