import { ConfigurationError } from '@taskqueue/core';

/** What we use of `prom-client`. */
export type Prometheus = Pick<
  typeof import('prom-client'),
  'Counter' | 'Gauge' | 'Histogram' | 'Registry' | 'register'
>;

/** Loads `prom-client`, which an application that wants metrics installs. Rejects with a ConfigurationError without it. */
export async function loadPrometheus(
  service: 'worker' | 'beat',
  load: () => Promise<Prometheus> = () => import('prom-client'),
): Promise<Prometheus> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    const remedy = 'Run: npm install prom-client';
    const expected = 'the package prom-client to be installed';
    throw new ConfigurationError([{ path: `${service}.metrics`, expected, value: true, remedy }]);
  }
}
