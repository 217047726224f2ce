// `npm test`: everything a change must pass, in the order in which it is quickest to learn that it does not. Arguments
// are handed to vitest (then only the tests run): `npm test -- packages/core/test/schedule`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const filters = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'taskqueue-test-'));
const report = join(scratch, 'report.json');

const steps = [
  ['build', 'npx', ['tsc', '-b']],
  ...(filters.length > 0
    ? []
    : [
        ['format', 'npm', ['run', '--silent', 'format:check']],
        ['lint', 'npm', ['run', '--silent', 'lint']],
        ['types', 'npm', ['run', '--silent', 'typecheck']],
        ['sample app', 'npx', ['nest', 'build', 'api', 'worker', 'beat']],
        ['packages', 'npm', ['run', '--silent', 'check:pack']],
      ]),
  [
    'tests',
    'npx',
    ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...filters],
  ],
  ...(filters.length > 0 ? [] : [['benchmarks, one quick pass', 'npm', ['run', '--silent', 'bench', '--', '--quick']]]),
];

let failed;
for (const step of steps) {
  const [title, command, args] = /** @type {[string, string, string[]]} */ (step);
  console.log(`\n── ${title}`);
  const { status } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, TEST_NOTES: scratch },
  });
  if (status !== 0) {
    failed = title;
    break;
  }
}

const results = JSON.parse(read(report) ?? 'null');
const skipped = results === null ? [] : skippedSuites(results);
// Where servers are required, a suite that says it has none is a failure.
const required = process.env.CI !== undefined || process.env.REQUIRE_SERVICES !== undefined;
if (required && skipped.length > 0) failed ??= 'tests: nothing may be left out here';
summarise();
rmSync(scratch, { recursive: true, force: true });
process.exit(failed === undefined ? 0 : 1);

function summarise() {
  const notes = read(join(scratch, 'skipped.txt'));
  if (notes !== undefined || skipped.length > 0) {
    console.log('\n!! NOT TESTED, for lack of a server:');
    console.log(notes ?? '');
    for (const suite of skipped) console.log(`   ${suite}`);
  }
  if (failed !== undefined) console.log(`\nStopped at: ${failed}`);
  if (results === null) return;
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = results;
  console.log(`\n${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped`);
}

/** `file > suite`, for each suite with a test that was left out; not where tests were chosen by their names. */
function skippedSuites({ testResults }) {
  if (filters.some((filter) => /^(-t|--testNamePattern)/.test(filter))) return [];
  const suites = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status !== 'passed' && status !== 'failed')
      .map(({ ancestorTitles, title }) => `${relative(process.cwd(), name)} > ${ancestorTitles[0] ?? title}`),
  );
  return [...new Set(suites)].toSorted((a, b) => a.localeCompare(b));
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
