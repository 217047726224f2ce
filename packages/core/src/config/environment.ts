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
