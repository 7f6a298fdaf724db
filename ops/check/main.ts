import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { countTests, isExcused } from './junit.ts';

/** Types, style, tests; the last line is the runner's own count. Everything runs even when something failed before. */

const repository = resolve(import.meta.dir, '../..');
const bin = (name: string) => join(repository, 'node_modules/.bin', name);
const words = process.argv.slice(2);

async function run(title: string, argv: readonly string[]): Promise<boolean> {
  process.stderr.write(`\n== ${title}\n`);
  const child = Bun.spawn([...argv], { cwd: repository, stdin: 'ignore', stdout: 'inherit', stderr: 'inherit' });
  return (await child.exited) === 0;
}

const folder = mkdtempSync(join(tmpdir(), 'postern-test-'));
const report = join(folder, 'report.xml');
const checks = words.length > 0 ? [] : [
  await run('types', [bin('tsc'), '--noEmit']),
  await run('style', [bin('biome'), 'check', '--error-on-warnings', '.']),
]; // biome-ignore format: a list of checks
const ran = await run('tests', [
  process.execPath,
  'test',
  '--reporter=junit',
  `--reporter-outfile=${report}`,
  ...words,
]);

const { passed, failed, skipped } = countTests(readFileSync(report, 'utf8'));
rmSync(folder, { recursive: true });

const unexcused = process.env.CI === 'true' ? skipped.filter((name) => !isExcused(name)) : [];
for (const name of unexcused) process.stdout.write(`did not run, and its name does not say what it needs: ${name}\n`);
const brokenChecks = checks.filter((held) => !held).length;
if (brokenChecks > 0) process.stdout.write(`types or style do not hold: see above\n`);
const allFailed = failed + unexcused.length + brokenChecks;
process.stdout.write(
  `${passed} passed, ${allFailed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}\n`,
);
process.exit(ran && allFailed === 0 ? 0 : 1);
