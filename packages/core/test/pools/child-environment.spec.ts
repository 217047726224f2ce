import { describe, expect, it } from 'vitest';
import { childEnvironment } from '../../src/pools/child-environment.js';

const env = {
  PATH: '/bin',
  LC_ALL: 'C',
  NODE_ENV: 'production',
  TASKQUEUE_URL: 'redis://x',
  TZ: 'UTC',
  AWS_SECRET_ACCESS_KEY: 's',
  DATABASE_URL: 'postgres://x',
  SMTP_HOST: 'h',
  SMTP_PASSWORD: 'p',
  UNSET: undefined,
};

describe('the environment of a child', () => {
  it('is what every program needs, and our own settings', () => {
    expect(Object.keys(childEnvironment(env)).sort()).toEqual(['LC_ALL', 'NODE_ENV', 'PATH', 'TASKQUEUE_URL', 'TZ']);
  });

  it('has what is named besides', () => {
    const names = Object.keys(childEnvironment(env, ['DATABASE_URL', 'SMTP_*']));
    expect(names).toEqual(expect.arrayContaining(['DATABASE_URL', 'SMTP_HOST', 'SMTP_PASSWORD']));
    expect(names).not.toContain('AWS_SECRET_ACCESS_KEY');
    expect(Object.keys(childEnvironment(env, ['*']))).toHaveLength(9);
  });

  it('has the names of Windows there in any case, and elsewhere as they are written', () => {
    const windows = { Path: 'C:\\node', SystemRoot: 'C:\\Windows', Smtp_Host: 'h', Secret: 's' };
    const names = ['Path', 'SystemRoot', 'Smtp_Host'];
    expect(Object.keys(childEnvironment(windows, ['SMTP_*'], 'win32'))).toEqual(names);
    expect(childEnvironment(windows, ['SMTP_*'], 'linux')).toEqual({});
  });
});
