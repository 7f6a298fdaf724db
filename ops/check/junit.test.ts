import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countTests } from './junit.ts';

/** What the runner really writes about a file of tests. */
async function reportOf(source: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-junit-'));
  const report = join(folder, 'report.xml');
  writeFileSync(join(folder, 'x.test.ts'), `import { describe, expect, test } from 'bun:test';\n${source}`);
  const argv = [process.execPath, 'test', '--reporter=junit', `--reporter-outfile=${report}`, folder];
  await Bun.spawn(argv, { stdout: 'ignore', stderr: 'ignore', cwd: folder }).exited;
  const text = readFileSync(report, 'utf8');
  rmSync(folder, { recursive: true });
  return text;
}

describe('countTests', () => {
  test('counts what passed, failed and did not run', async () => {
    const report = await reportOf(
      "test('a', () => {}); test.skip('b > \"c\"', () => {}); test('d', () => expect(1).toBe(2));",
    );
    expect(countTests(report)).toEqual({ passed: 1, failed: 1, skipped: ['b > "c"'], unexcused: ['b > "c"'] });
  });

  test('excuses what says itself that it cannot run here', async () => {
    const report = await reportOf(
      "test.skip('tunnels (needs root)', () => {}); test.skip('only on macOS: Keychain', () => {});",
    );
    expect(countTests(report)).toMatchObject({ passed: 0, failed: 0, unexcused: [] });
  });

  test('excuses a group that says so as long as none of it ran', async () => {
    const group = (second: string) =>
      `describe('a node (needs /dev/net/tun)', () => { test.skip('a', () => {}); ${second}('b', () => {}); });`;
    expect(countTests(await reportOf(group('test.skip'))).unexcused).toEqual([]);
    expect(countTests(await reportOf(group('test'))).unexcused).toEqual(['a']);
  });

  test.each([
    [''],
    ['<html></html>'],
    ['<testsuites tests="3">'],
    ['<testsuites tests="3" failures="0"><testcase name="cut o'],
  ])('takes %j for an error, not for no tests', (text) => expect(() => countTests(text)).toThrow(SyntaxError));
});
