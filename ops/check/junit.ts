/** What a test runner counted. `skipped` did not run; those among them that nothing excuses are `unexcused`. */
export type TestCounts = { passed: number; failed: number; skipped: readonly string[]; unexcused: readonly string[] };

type TestCase = { name: string; within: string; isSkipped: boolean };

/**
 * Reads the JUnit report that `bun test --reporter=junit` writes.
 *
 * @throws SyntaxError when the text is no such report: an unreadable report is not an empty one.
 */
export function countTests(report: string): TestCounts {
  const head = /<testsuites\b[^>]*>/.exec(report)?.[0];
  const tests = attribute(head, 'tests');
  const failures = attribute(head, 'failures');
  if (tests === undefined || failures === undefined || !report.trimEnd().endsWith('</testsuites>'))
    throw new SyntaxError('the test runner left no report that can be read');
  const cases = [...report.matchAll(/<testcase\b((?:"[^"]*"|[^">])*?)(?:\/>|>\s*(<skipped\b)?)/g)].map(
    ([, attributes, skipped]): TestCase => ({
      name: attribute(attributes, 'name') ?? 'a test without a name',
      within: attribute(attributes, 'classname') ?? '',
      isSkipped: skipped !== undefined,
    }),
  );
  const skipped = cases.filter(({ isSkipped }) => isSkipped);
  const failed = Number(failures);
  return {
    passed: Number(tests) - failed - skipped.length,
    failed,
    skipped: skipped.map(({ name }) => name),
    unexcused: skipped.filter((one) => !isExcused(one, cases)).map(({ name }) => name),
  };
}

/**
 * A test that did not run is excused when its name says which platform or permission it needs, or when the name of its
 * group does and nothing of that group ran.
 */
function isExcused({ name, within }: TestCase, cases: readonly TestCase[]): boolean {
  if (saysNeed(name)) return true;
  return saysNeed(within) && cases.every((other) => other.within !== within || other.isSkipped);
}

function saysNeed(name: string): boolean {
  return /\b(?:needs|only on) (?:root|linux|macos|windows|\/dev\/net\/tun)/i.test(name);
}

function attribute(text: string | undefined, name: string): string | undefined {
  return new RegExp(`\\b${name}="([^"]*)"`)
    .exec(text ?? '')?.[1]
    ?.replaceAll('&gt;', '>')
    .replaceAll('&lt;', '<')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}
