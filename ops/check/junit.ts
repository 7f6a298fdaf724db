/** What a test runner counted, and the tests that did not run. */
export type TestCounts = { passed: number; failed: number; skipped: readonly string[] };

/**
 * Reads the JUnit report that `bun test --reporter=junit` writes.
 *
 * @throws SyntaxError when the text is no such report: an unreadable report is not an empty one.
 */
export function countTests(report: string): TestCounts {
  const head = /<testsuites\b[^>]*>/.exec(report)?.[0];
  const tests = attribute(head, 'tests');
  const failures = attribute(head, 'failures');
  if (tests === undefined || failures === undefined)
    throw new SyntaxError('the test runner left no report that can be read');
  const skipped = [...report.matchAll(/<testcase\b([^>]*[^/])>\s*<skipped\b/g)].map(
    ([, attributes]) => attribute(attributes, 'name') ?? 'a test without a name',
  );
  const failed = Number(failures);
  return { passed: Number(tests) - failed - skipped.length, failed, skipped };
}

/** A test that did not run is excused when its name says which platform or permission it needs. */
export function isExcused(name: string): boolean {
  return /\b(needs|only on) (root|linux|macos|windows|\/dev\/net\/tun)/i.test(name);
}

function attribute(text: string | undefined, name: string): string | undefined {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(text ?? '')?.[1];
}
