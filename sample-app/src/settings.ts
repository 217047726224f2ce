import { resolve } from 'node:path';

/** A variable that is empty is not given. */
function given(name: string): string | undefined {
  const text = process.env[name];
  return text === '' ? undefined : text;
}

/** The storefront's own settings, all from the environment. */
export const settings = {
  port: Number(given('PORT') ?? 3000),
  /** Where files go: the SQLite database, mails, images. */
  dataDir: resolve(given('DATA_DIR') ?? './data'),
  templatesDir: resolve(given('TEMPLATES_DIR') ?? './sample-app/templates'),
  /** `postgres://…` moves everything to PostgreSQL; otherwise a SQLite file in `dataDir`. */
  databaseUrl: given('DATABASE_URL'),
  /** Where messages wait, e.g. `redis://…`; without it, in the database. */
  brokerUrl: given('BROKER_URL'),
  /** Where results are kept, e.g. `redis://…`; without it, in the database. */
  resultBackendUrl: given('RESULT_BACKEND_URL'),
  /** `smtp://…`; without it mails are written as .eml files into `dataDir`/mails. */
  smtpUrl: given('SMTP_URL'),
  mailFrom: given('MAIL_FROM') ?? 'Storefront <shop@storefront.example>',
  adminApiKey: given('ADMIN_API_KEY'),
  production: given('NODE_ENV') === 'production',
} as const;
