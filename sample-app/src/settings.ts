import { resolve } from 'node:path';

/** The storefront's own settings, all from the environment. */
export const settings = {
  port: Number(process.env['PORT'] ?? 3000),
  /** Where files go: the SQLite database, mails, images. */
  dataDir: resolve(process.env['DATA_DIR'] ?? './data'),
  templatesDir: resolve(process.env['TEMPLATES_DIR'] ?? './sample-app/templates'),
  /** `postgres://…` moves everything to PostgreSQL; otherwise a SQLite file in `dataDir`. */
  databaseUrl: process.env['DATABASE_URL'],
  /** `smtp://…`; without it mails are written as .eml files into `dataDir`/mails. */
  smtpUrl: process.env['SMTP_URL'],
  mailFrom: process.env['MAIL_FROM'] ?? 'Storefront <shop@storefront.example>',
  adminApiKey: process.env['ADMIN_API_KEY'],
  production: process.env['NODE_ENV'] === 'production',
} as const;
