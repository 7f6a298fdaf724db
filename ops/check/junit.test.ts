import { describe, expect, test } from 'bun:test';
import { countTests, isExcused } from './junit.ts';

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="5" assertions="9" failures="1" skipped="2" time="0.1">
  <testsuite name="a.test.ts" tests="5" failures="1">
    <testcase name="adds" classname="a" time="0" file="a.test.ts" line="1" assertions="1" />
    <testcase name="subtracts" classname="a" time="0" file="a.test.ts" line="2" assertions="0">
      <failure type="AssertionError" />
    </testcase>
    <testcase name="divides" classname="a" time="0" file="a.test.ts" line="3" assertions="0">
      <skipped />
    </testcase>
    <testcase name="tunnels (needs root)" classname="a" time="0" file="a.test.ts" line="4" assertions="0">
      <skipped />
    </testcase>
    <testcase name="multiplies" classname="a" time="0" file="a.test.ts" line="5" assertions="1" />
  </testsuite>
</testsuites>`;

describe('countTests', () => {
  test('counts what passed, failed and did not run', () => {
    expect(countTests(report)).toEqual({ passed: 2, failed: 1, skipped: ['divides', 'tunnels (needs root)'] });
  });

  test.each([[''], ['<html></html>'], ['<testsuites tests="3">']])('takes %j for an error, not for no tests', (text) =>
    expect(() => countTests(text)).toThrow(SyntaxError),
  );

  test('reads what the runner really writes', async () => {
    const folder = (await import('node:fs')).mkdtempSync(`${process.env.TMPDIR ?? '/tmp'}/postern-junit-`);
    await Bun.write(
      `${folder}/x.test.ts`,
      "import { test, expect } from 'bun:test'; test('a', () => {}); test.skip('b', () => {}); test('c', () => expect(1).toBe(2));",
    );
    const argv = [process.execPath, 'test', '--reporter=junit', `--reporter-outfile=${folder}/report.xml`, folder];
    await Bun.spawn(argv, { stdout: 'ignore', stderr: 'ignore', cwd: folder }).exited;
    expect(countTests(await Bun.file(`${folder}/report.xml`).text())).toEqual({ passed: 1, failed: 1, skipped: ['b'] });
    (await import('node:fs')).rmSync(folder, { recursive: true });
  });
});

test.each([
  ['tunnels (needs root)', true],
  ['Keychain, only on macOS', true],
  ['flaky', false],
])('%s is excused: %p', (name, excused) => expect(isExcused(name)).toBe(excused));
