import type { Diagnostic } from '#contract/diagnostic.ts';
import { errorAt, warningAt } from '#policies/language/diagnostic.ts';
import { writtenStatement, writtenSubject } from '#policies/language/format-statement.ts';
import { statementsOf, type TestStatement } from '#policies/language/statement.ts';
import { type Access, boxesOf } from './access.ts';
import { type Box, meet, subtract } from './boxes.ts';
import { Openings } from './openings.ts';
import { principalOf, type World } from './world.ts';

/** How much of a target is open. */
export type Openness = 'all' | 'part' | 'none';

export interface Judged {
  readonly openness: Openness;
  /** The lines that open it, rising. */
  readonly lines: readonly number[];
}

/** How much of these boxes a principal's access opens now. */
export function judgeBoxes(access: readonly Access[], boxes: readonly Box[]): Judged {
  const open = access.filter(({ box }) => boxes.some((wanted) => meet(wanted, box)));
  const lines = [...new Set(open.flatMap(({ line }) => (line === undefined ? [] : [line])))].sort((a, b) => a - b);
  if (open.length === 0) return { openness: 'none', lines };
  const holding = open.map(({ box }) => box);
  const whole = boxes.every((box) => subtract(box, holding).length === 0);
  return { openness: whole ? 'all' : 'part', lines };
}

/**
 * Runs the `test` lines of the document. A test that fails is an error and refuses the document; one whose user is not
 * in the roster is a warning, so that disabling a user is never held up by a line.
 */
export function runTests(world: World, now: number): Diagnostic[] {
  const openings = new Openings(world, now);
  return statementsOf(world.document, 'test').flatMap((test) => runTest(world, openings, test));
}

function runTest(world: World, openings: Openings, test: TestStatement): Diagnostic[] {
  const { subject, target, port, expected } = test;
  const principal = principalOf(world, subject.value);
  if (principal === undefined)
    return [
      warningAt(
        subject,
        'test-skipped',
        `there is no user ${writtenSubject(subject.value)} now, so this test was not run`,
      ),
    ];
  const wanted = boxesOf(world, target.value, port === undefined ? [] : [port.value]).map(atNow);
  const access = wanted.flatMap((box) => openings.meeting(principal, box));
  const { openness, lines } = judgeBoxes(access, wanted);
  if (openness === (expected === 'allowed' ? 'all' : 'none')) return [];
  return [errorAt(target, 'test-failed', `${writtenStatement(test)}: ${found(openness, lines)}`)];
}

/** A test asks about this moment, which every access that there is includes: its time begins at zero. */
function atNow(box: Box): Box {
  return { ...box, time: [0, 0] };
}

function found(openness: Openness, lines: readonly number[]): string {
  const by = lines.length === 0 ? 'without a line, as plumbing' : `by line ${lines.join(', ')}`;
  if (openness === 'none') return 'no line opens any of it';
  return openness === 'all' ? `it is open, ${by}` : `a part of it is open, ${by}, and a part is not`;
}
