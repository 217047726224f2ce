import { defineConfig } from 'vitest/config';

// Tests and sources are compiled by vite itself; packages are read from src through the `@taskqueue/source` condition,
// so no build is needed before a test run.
const conditions = ['@taskqueue/source', 'node'];

export default defineConfig({
  oxc: { target: 'node20', decorator: { legacy: true, emitDecoratorMetadata: true } },
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    globals: false,
    include: ['packages/*/test/**/*.spec.ts', 'sample-app/test/**/*.spec.ts', 'test/**/*.spec.ts'],
    pool: 'forks',
    globalSetup: ['test/support/services.ts'],
    server: { deps: { inline: [/@taskqueue\//] } },
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
