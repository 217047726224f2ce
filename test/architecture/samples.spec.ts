import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

/**
 * Every TypeScript sample of the documents is compiled, as its reader would compile it. What a sample takes for granted
 * (a mailer, an order, the module of the tour) is declared in `samples.d.ts` beside this file.
 */
const documents = [
  'README.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
  ...readdirSync('packages').map((name) => `packages/${name}/README.md`),
];

const samples = documents.flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, source], index) => ({
    // In the folder of this test, so that packages are found.
    file: join(process.cwd(), 'test/architecture', `${file.replaceAll(/[/.]/g, '-')}-${index + 1}.sample.ts`),
    source: source as string,
  })),
);

describe('the samples of the documents', () => {
  it('are there', () => expect(samples.length).toBeGreaterThan(12));

  it('compile', () => {
    const { config } = ts.readConfigFile('tsconfig.spec.json', (path) => ts.sys.readFile(path)) as {
      config: { compilerOptions: object };
    };
    const base = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, process.cwd()).options;
    const bySample = new Map(samples.map(({ file, source }) => [file, source]));
    const host = ts.createCompilerHost(base);
    const real = { ...host };
    host.fileExists = (file) => bySample.has(file) || real.fileExists(file);
    host.readFile = (file) => bySample.get(file) ?? real.readFile(file);
    host.getSourceFile = (file, ...rest) => {
      const source = bySample.get(file);
      return source === undefined ? real.getSourceFile(file, ...rest) : ts.createSourceFile(file, source, rest[0]);
    };
    const program = ts.createProgram(
      [...bySample.keys(), join(process.cwd(), 'test/architecture/samples.d.ts')],
      { ...base, noEmit: true },
      host,
    );
    const problems = [...bySample.keys()].flatMap((file) =>
      [
        ...program.getSemanticDiagnostics(program.getSourceFile(file)),
        ...program.getSyntacticDiagnostics(program.getSourceFile(file)),
      ].map((one) => `${file.split('/').at(-1)}: ${ts.flattenDiagnosticMessageText(one.messageText, '\n')}`),
    );
    expect(problems).toEqual([]);
  }, 120_000);
});
