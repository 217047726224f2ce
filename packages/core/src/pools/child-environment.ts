type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What children get of the worker's environment: where programs, homes and temporary files are, language and time zone,
 * what node and the terminal want, and this library's own settings, because the application of a child is the same and
 * its client sends tasks of its own. Everything else, e.g. an application's passwords, has to be named.
 */
const ALLOWED = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'PWD',
  'TMPDIR',
  'TMP',
  'TEMP',
  'TZ',
  'LANG',
  'LANGUAGE',
  'LC_*',
  'NODE_ENV',
  'NODE_OPTIONS',
  'NODE_PATH',
  'NODE_EXTRA_CA_CERTS',
  'NODE_NO_WARNINGS',
  'NODE_DEBUG',
  'UV_*',
  'SSL_CERT_*',
  'TERM',
  'COLORTERM',
  'NO_COLOR',
  'FORCE_COLOR',
  'HOSTNAME',
  // Windows does not start a program without some of these.
  'SYSTEMROOT',
  'SYSTEMDRIVE',
  'WINDIR',
  'COMSPEC',
  'PATHEXT',
  'USERPROFILE',
  'USERNAME',
  'HOMEDRIVE',
  'HOMEPATH',
  'APPDATA',
  'LOCALAPPDATA',
  'PROGRAMDATA',
  'PROGRAMFILES*',
  'NUMBER_OF_PROCESSORS',
  'PROCESSOR_ARCHITECTURE',
  'TASKQUEUE_*',
];

/** The part of an environment that children get; `more` are names, with a `*` at the end for anything. */
export function childEnvironment(
  env: Environment,
  more: readonly string[] = [],
  platform: NodeJS.Platform = process.platform,
): Record<string, string> {
  const patterns = [...ALLOWED, ...more];
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && patterns.some((pattern) => isMeant(pattern, entry[0], platform)),
  );
  return Object.fromEntries(entries);
}

/** Windows's own names are `Path` and `SystemRoot`, in whatever case; elsewhere `path` is another name. */
function isMeant(pattern: string, name: string, platform: NodeJS.Platform): boolean {
  const actual = platform === 'win32' ? name.toUpperCase() : name;
  const wanted = platform === 'win32' ? pattern.toUpperCase() : pattern;
  return wanted.endsWith('*') ? actual.startsWith(wanted.slice(0, -1)) : actual === wanted;
}
