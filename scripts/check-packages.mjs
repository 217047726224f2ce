// Packs every publishable package and checks the tarball as its users will see it: manifest, exports, types, no test,
// no source that the maps miss, no path of the machine it was built on.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FORBIDDEN = /(^|\/)(test|tests|__tests__)\/|\.spec\.|tsbuildinfo|\.env$/;
const scratch = mkdtempSync(join(tmpdir(), 'taskqueue-pack-'));
const problems = [];

for (const name of readdirSync('packages')) {
  const folder = join('packages', name);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (manifest.private === true) continue;
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], {
      cwd: folder,
      encoding: 'utf8',
    }),
  );
  const files = packed.files.map((file) => file.path);
  for (const file of files) if (FORBIDDEN.test(file)) problems.push(`${name}: ${file} must not be packed`);
  for (const needed of ['README.md', 'LICENSE', 'package.json']) {
    if (!files.includes(needed)) problems.push(`${name}: ${needed} is missing from the package`);
  }
  for (const target of targets(manifest.exports)) {
    if (!files.includes(target.replace('./', '')))
      problems.push(`${name}: exports name ${target}, which is not packed`);
  }
  for (const [command, target] of Object.entries(manifest.bin ?? {})) {
    if (!files.includes(target.replace('./', '')))
      problems.push(`${name}: bin ${command} is ${target}, which is not packed`);
  }
  const lint = spawn('npx', ['publint', '--strict', join(scratch, packed.filename)]);
  if (lint !== undefined) problems.push(`${name}: ${lint}`);
  console.log(`${manifest.name}@${manifest.version}: ${files.length} files, ${Math.round(packed.size / 1024)} kB`);
}
rmSync(scratch, { recursive: true, force: true });
for (const problem of problems) console.error(`✗ ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);

function targets(exports) {
  return Object.values(exports).flatMap((value) => (typeof value === 'string' ? [value] : Object.values(value)));
}

function spawn(command, args) {
  try {
    execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `${error.stdout}${error.stderr}`;
  }
}
