import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countTests, type TestCounts } from './junit.ts';
import { repository } from './repository.ts';

/** Types, style, tests; the last line is the runner's own count. Everything runs even when something failed before. */

const bin = (name: string) => join(repository, 'node_modules/.bin', name);
const words = process.argv.slice(2);

async function holds(title: string, argv: readonly string[]): Promise<boolean> {
  process.stderr.write(`\n== ${title}\n`);
  const child = Bun.spawn([...argv], { cwd: repository, stdin: 'ignore', stdout: 'inherit', stderr: 'inherit' });
  return (await child.exited) === 0;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A runner that dies leaves no report, which counts as one failure. */
function readReport(path: string): TestCounts {
  try {
    return countTests(existsSync(path) ? readFileSync(path, 'utf8') : '');
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return { passed: 0, failed: 1, skipped: [], unexcused: [] };
  }
}

const broken: string[] = [];
// Words choose some of the tests: someone is at work on them.
if (words.length === 0) {
  if (!(await holds('types', [bin('tsc'), '--noEmit']))) broken.push('types do not hold: see above');
  const style = [bin('biome'), 'check', '--error-on-warnings', '.'];
  if (!(await holds('style', style))) broken.push('style does not hold: see above');
}

const folder = mkdtempSync(join(tmpdir(), 'postern-test-'));
const report = join(folder, 'report.xml');
// The default of five seconds is little for a machine that does much else.
const runner = [process.execPath, 'test', '--timeout=30000', '--reporter=junit', `--reporter-outfile=${report}`];
const didRun = await holds('tests', [...runner, ...words]);
const { passed, failed, skipped, unexcused } = readReport(report);
rmSync(folder, { recursive: true });

// The runner also fails over what happens between tests.
if (!didRun && failed === 0) broken.push('the test runner failed, though no test did: see above');
if (process.env.CI === 'true')
  broken.push(...unexcused.map((name) => `did not run, and its name does not say what it needs: ${name}`));

for (const what of broken) say(what);
const allFailed = failed + broken.length;
say(`${passed} passed, ${allFailed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
process.exit(allFailed === 0 ? 0 : 1);
