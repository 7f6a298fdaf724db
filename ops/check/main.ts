import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countTests, type TestCounts } from './junit.ts';
import { repository } from './repository.ts';

/** Types, style, tests; the last line is the runner's own count. Everything runs even when something failed before. */

const bin = (name: string) => join(repository, 'node_modules/.bin', name);
const words = process.argv.slice(2);

type Output = 'inherit' | number;

async function holds(title: string, argv: readonly string[], output: Output = 'inherit'): Promise<boolean> {
  process.stderr.write(`\n== ${title}\n`);
  const child = Bun.spawn([...argv], { cwd: repository, stdin: 'ignore', stdout: output, stderr: output });
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

/** One run of the test runner over some paths. */
async function runTests(name: string, paths: readonly string[], output: Output = 'inherit') {
  const report = join(folder, `${name}.xml`);
  // The default of five seconds is little for a machine that does much else.
  const runner = [process.execPath, 'test', '--timeout=30000', '--reporter=junit', `--reporter-outfile=${report}`];
  const didRun = await holds(`tests: ${name}`, [...runner, ...paths], output);
  return { didRun, counts: readReport(report) };
}

/** Tests wait more than they work, so those of `ops` run beside all others, whose output comes when both are through. */
async function runAll() {
  const others = readdirSync(repository, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !/^(?:\.|node_modules$|ops$)/.test(entry.name))
    .map(({ name }) => `./${name}/`);
  const path = join(folder, 'others.log');
  const log = openSync(path, 'w');
  const runs = await Promise.all([runTests('ops', ['./ops/']), runTests('others', others, log)]);
  closeSync(log);
  process.stderr.write(readFileSync(path));
  return runs;
}

const runs = words.length === 0 ? await runAll() : [await runTests('chosen', words)];
const didRun = runs.every((run) => run.didRun);
const sum = (count: (counts: TestCounts) => number) => runs.reduce((total, { counts }) => total + count(counts), 0);
const passed = sum((counts) => counts.passed);
const failed = sum((counts) => counts.failed);
const skipped = runs.flatMap(({ counts }) => counts.skipped);
const unexcused = runs.flatMap(({ counts }) => counts.unexcused);
rmSync(folder, { recursive: true });

// The runner also fails over what happens between tests.
if (!didRun && failed === 0) broken.push('the test runner failed, though no test did: see above');
if (process.env.CI === 'true')
  broken.push(...unexcused.map((name) => `did not run, and its name does not say what it needs: ${name}`));

for (const what of broken) say(what);
const allFailed = failed + broken.length;
say(`${passed} passed, ${allFailed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
process.exit(allFailed === 0 ? 0 : 1);
