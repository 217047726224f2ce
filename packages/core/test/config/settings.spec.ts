import { describe, expect, it } from 'vitest';
import { parseByteSize } from '../../src/config/byte-size.js';
import { redactUrl } from '../../src/config/connection-url.js';
import { parseDuration, toMilliseconds } from '../../src/config/duration.js';
import {
  environmentName,
  settingPaths,
  settingsFromEnvironment,
  unknownVariables,
} from '../../src/config/environment.js';
import { DEFAULT_SETTINGS } from '../../src/config/settings.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { ConfigurationError } from '../../src/errors/errors.js';

describe('sizes', () => {
  it.each<[unknown, number | undefined]>([
    [1_000, 1_000],
    ['512kb', 524_288],
    ['200mb', 209_715_200],
    ['1.5 GB', 1_610_612_736],
    ['200', undefined],
    ['200m', undefined],
    [-1, undefined],
    [1.5, undefined],
    [undefined, undefined],
  ])('%s is %s bytes', (size, bytes) => expect(parseByteSize(size)).toBe(bytes));
});

describe('settings', () => {
  it.each([
    [{ pool: 'gevent' }, 'worker.pool'],
    [{ maxTasksPerChild: 0 }, 'worker.maxTasksPerChild'],
    [{ maxMemoryPerChild: '200' }, 'worker.maxMemoryPerChild'],
    [{ maxMemoryPerChild: 12 }, 'worker.maxMemoryPerChild'],
    [{ childEnvironment: ['A-B'] }, 'worker.childEnvironment.0'],
  ])('of children are checked: %j', (worker, path) => {
    expect(() => validateSettings({ worker: worker as never })).toThrow(path);
  });

  it('have defaults that are valid', () => {
    expect(validateSettings({})).toEqual(DEFAULT_SETTINGS);
  });

  it('are overlaid on one another and on the defaults; undefined is not given', () => {
    const settings = validateSettings(
      { worker: { concurrency: 5, name: undefined as never } },
      { defaultQueue: 'env', worker: { concurrency: 7, name: 'w@env' } },
    );
    expect(settings).toMatchObject({ defaultQueue: 'env', worker: { concurrency: 5, name: 'w@env' } });
  });

  it('report every problem at once, with path and value', () => {
    const bad = {
      defaultQueue: '',
      resultExpires: 'x',
      dialect: '4',
      maxBodyBytes: 1.5,
      unheard: 1,
      worker: { concurrency: 0, lease: '10ms', queues: [], colour: 'red', logTasks: 'yes' },
      beat: { poll: 1 },
    };
    try {
      validateSettings(bad as never);
      expect.unreachable();
    } catch (error) {
      const { problems } = error as ConfigurationError;
      expect(problems.map((one) => one.path).sort()).toEqual(
        [
          'beat.poll',
          'defaultQueue',
          'dialect',
          'maxBodyBytes',
          'resultExpires',
          'unheard',
          'worker.colour',
          'worker.concurrency',
          'worker.lease',
          'worker.logTasks',
          'worker.queues',
        ].sort(),
      );
      expect((error as Error).message).toContain('worker.concurrency: expected at least 1, got 0.');
      expect((error as Error).message).toMatch(/worker\.colour: expected one of name, queues/);
    }
  });

  it.each([
    ['worker', null],
    ['worker', 5],
    ['beat', 'soon'],
    ['client', []],
  ])('refuse %s: %s, which sets nothing', (path, value) => {
    expect(() => validateSettings({ [path]: value } as never)).toThrow(`${path}: expected an object with settings`);
  });

  it('come from the environment under one prefix, each by a name derived from its path', () => {
    expect(environmentName('worker.trackStarted')).toBe('TASKQUEUE_WORKER_TRACK_STARTED');
    expect(settingPaths()).toContain('beat.poll');
    const settings = settingsFromEnvironment({
      TASKQUEUE_DEFAULT_QUEUE: 'jobs',
      TASKQUEUE_MAX_BODY_BYTES: '2048',
      TASKQUEUE_WORKER_QUEUES: 'a, b,',
      TASKQUEUE_WORKER_CONCURRENCY: '4',
      TASKQUEUE_WORKER_LEASE: '5000',
      TASKQUEUE_WORKER_TRACK_STARTED: 'true',
      TASKQUEUE_WORKER_LOG_TASKS: '0',
      TASKQUEUE_WORKER_POOL: 'prefork',
      TASKQUEUE_WORKER_MAX_TASKS_PER_CHILD: '50',
      TASKQUEUE_WORKER_MAX_MEMORY_PER_CHILD: '200mb',
      TASKQUEUE_WORKER_CHILD_ENVIRONMENT: 'DATABASE_URL,SMTP_*',
      TASKQUEUE_BEAT_POLL: '2s',
      OTHER: 'x',
    });
    expect(settings).toEqual({
      defaultQueue: 'jobs',
      maxBodyBytes: 2048,
      worker: {
        queues: ['a', 'b'],
        concurrency: 4,
        lease: 5000,
        trackStarted: true,
        logTasks: false,
        pool: 'prefork',
        maxTasksPerChild: 50,
        maxMemoryPerChild: '200mb',
        childEnvironment: ['DATABASE_URL', 'SMTP_*'],
      },
      beat: { poll: '2s' },
    });
    expect(validateSettings({}, settings).worker.concurrency).toBe(4);
  });

  it('from the environment that are names stay text, also when they are all digits', () => {
    const settings = settingsFromEnvironment({ TASKQUEUE_DEFAULT_QUEUE: '7', TASKQUEUE_WORKER_NAME: '42' });
    expect(validateSettings({}, settings)).toMatchObject({ defaultQueue: '7', worker: { name: '42' } });
  });

  it('from the environment that do not fit are named like any other', () => {
    const settings = settingsFromEnvironment({
      TASKQUEUE_WORKER_CONCURRENCY: 'many',
      TASKQUEUE_WORKER_TRACK_STARTED: 'perhaps',
    });
    expect(() => validateSettings({}, settings)).toThrow(
      /worker\.concurrency: expected a number, got "many"[\s\S]*worker\.trackStarted: expected true or false, got "perhaps"/,
    );
  });

  it('from the environment that are none of ours are named, with the nearest that is', () => {
    const ours = Object.fromEntries(settingPaths().map((path) => [environmentName(path), 'x']));
    expect(unknownVariables({ ...ours, TASKQUEUE_URL: 'memory:', TASKQUEUE_RESULTS_URL: 'memory:', PATH: 'x' })).toBe(
      undefined,
    );
    expect(unknownVariables({ TASKQUEUE_WORKER_CONCURENCY: '4' })).toBe(
      'A variable is no setting and is ignored: TASKQUEUE_WORKER_CONCURENCY: Did you mean TASKQUEUE_WORKER_CONCURRENCY?',
    );
    expect(unknownVariables({ TASKQUEUE_THEME_OF_ANOTHER_PROGRAM: 'dark', TASKQUEUE_ULR: 'memory:' })).toBe(
      'Variables are no settings and are ignored: TASKQUEUE_THEME_OF_ANOTHER_PROGRAM; TASKQUEUE_ULR: Did you mean TASKQUEUE_URL?',
    );
  });

  it('from the environment are not what Kubernetes says of a Service', () => {
    const service = {
      TASKQUEUE_WORKER_SERVICE_HOST: '10.0.0.1',
      TASKQUEUE_WORKER_SERVICE_PORT: '80',
      TASKQUEUE_WORKER_SERVICE_PORT_HTTP: '80',
      TASKQUEUE_WORKER_PORT: 'tcp://10.0.0.1:80',
      TASKQUEUE_WORKER_PORT_80_TCP: 'tcp://10.0.0.1:80',
      TASKQUEUE_WORKER_PORT_80_TCP_ADDR: '10.0.0.1',
    };
    expect(unknownVariables(service)).toBeUndefined();
    expect(unknownVariables({ TASKQUEUE_WORKER_HELTH_PORT: '9000' })).toContain('TASKQUEUE_WORKER_HEALTH_PORT');
  });

  it.each(['a,b@host', ' w@host', 'w@host ', 'w\n@host', '', 'x'.repeat(256)])(
    'refuse the name %j, by which no command could name the worker',
    (name) => expect(() => validateSettings({ worker: { name } })).toThrow(/worker\.name: expected .* without commas/),
  );

  it('name the setting that was probably meant', () => {
    expect(() => validateSettings({ worker: { concurency: 4 } as never })).toThrow(
      /worker\.concurency: .* Did you mean concurrency\?/,
    );
  });

  it('every setting of the record is known to environment and validation', () => {
    for (const path of settingPaths()) {
      const bad = { [environmentName(path)]: '{"neither": "fish nor flesh"} with spaces and ümlauts' };
      if (/\.name$|controlSecret|healthFile/.test(path)) continue; // any text
      expect(() => validateSettings({}, settingsFromEnvironment(bad)), path).toThrow(ConfigurationError);
    }
  });
});

describe('durations', () => {
  it.each([
    [0, 0],
    [1500, 1500],
    ['500ms', 500],
    ['1.5s', 1500],
    ['2 m', 120_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1w', 604_800_000],
  ])('%j is %d ms', (given, expected) => expect(parseDuration(given)).toBe(expected));

  it.each([
    -1,
    Number.NaN,
    Infinity,
    '',
    's',
    '-5s',
    '5 parsecs',
    '1e3s',
    '5s5s',
    '9'.repeat(40) + 's',
    null,
    {},
    [],
    '5',
  ])('%j is none', (given) => expect(parseDuration(given)).toBeUndefined());

  it('that are wrong name their field and the remedy', () => {
    expect(() => toMilliseconds('soon' as never, 'countdown')).toThrow(
      /countdown must be a duration, got "soon"\. Give milliseconds/,
    );
  });
});

describe('URLs in messages', () => {
  it.each([
    ['postgres://user:secret@host:5432/db', 'postgres://user:***@host:5432/db'],
    ['redis://:secret@host', 'redis://:***@host'],
    ['amqp://user:p%40ss@host/vhost', 'amqp://user:***@host/vhost'],
    ['redis://host?password=secret&db=1', 'redis://host?password=***&db=1'],
    ['sqlite:./data/queue.sqlite', 'sqlite:./data/queue.sqlite'],
    ['postgres://user@host/db', 'postgres://user@host/db'],
  ])('%s is shown as %s', (url, shown) => expect(redactUrl(url)).toBe(shown));
});
