import { readFileSync } from 'node:fs';

/** What `node:tls` is told, as far as Celery's URLs can say it. */
export interface CeleryTls {
  readonly rejectUnauthorized: boolean;
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Python's names, and Celery's short ones. */
const CERTIFICATE_CHECKS: Readonly<Record<string, boolean>> = {
  required: true,
  CERT_REQUIRED: true,
  none: false,
  CERT_NONE: false,
};

/**
 * The parameters `ssl_cert_reqs`, `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile` of a URL, as Celery takes them. A certificate
 * is checked unless the URL says otherwise. `take` hands out a parameter, `invalid` makes the error that is thrown for one.
 */
export function celeryTls(
  take: (name: string) => string | undefined,
  invalid: (path: string, expected: string, value: string) => Error,
): CeleryTls {
  const checks = take('ssl_cert_reqs') ?? 'required';
  const rejectUnauthorized = Object.hasOwn(CERTIFICATE_CHECKS, checks) ? CERTIFICATE_CHECKS[checks] : undefined;
  if (rejectUnauthorized === undefined) throw invalid('url.ssl_cert_reqs', 'required or none', checks);
  const file = (name: string): Buffer | undefined => {
    const path = take(name);
    if (path === undefined) return undefined;
    try {
      return readFileSync(path);
    } catch (error) {
      throw invalid(`url.${name}`, 'a file that can be read', `${path} (${(error as NodeJS.ErrnoException).code})`);
    }
  };
  const [ca, cert, key] = [file('ssl_ca_certs'), file('ssl_certfile'), file('ssl_keyfile')];
  return {
    rejectUnauthorized,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
