import { describe, expect, test } from 'bun:test';
import { type ProblemCode, problem, problems } from '#contract/problem.ts';
import type { FailureKind } from './failure.ts';
import { refusal } from './refusal.ts';

const said = (code: ProblemCode) => refusal(problem(code).status, JSON.stringify(problem(code, 'Ask the owner.')));

describe('what the master refuses', () => {
  test.each<[ProblemCode, FailureKind, RegExp]>([
    ['code-unknown', 'refused', /typing errors/],
    ['code-used', 'refused', /for one device/],
    ['code-expired', 'refused', /new code/],
    ['lease-expired', 'refused', /same code/],
    ['key-taken', 'refused', /leave --force/],
    ['pool-exhausted', 'refused', /grow the pool/],
    ['too-many-requests', 'refused', /Wait a minute/],
    ['token-invalid', 'refused', /revoked.*clock/],
    ['storage-unavailable', 'unreachable', /Wait a minute/],
    ['not-ready', 'unreachable', /Wait a minute/],
    ['permission-denied', 'refused', /Ask the owner/],
  ])('%s', (code, kind, next) => {
    const failure = said(code);
    expect([failure.code, failure.kind]).toEqual([code, kind]);
    expect(failure.message).toBe(problems[code][1]);
    expect(failure.next).toMatch(next);
  });

  test('always comes with something to do', () => {
    for (const code of Object.keys(problems) as ProblemCode[]) expect(said(code).next).not.toBe('');
  });

  test('names the fields that are not valid', () => {
    const body = problem('invalid-input', undefined, [{ path: 'deviceName', message: 'must be shorter' }]);
    expect(refusal(422, JSON.stringify(body)).message).toContain('deviceName must be shorter');
  });

  test.each([
    [502, '<html>Bad gateway</html>', 'unreachable'],
    [404, 'not found', 'failed'],
    [404, '{"error":"x"}', 'failed'],
    [500, '', 'unreachable'],
  ] as const)('an answer %d that is not a problem document is not repeated', (status, body, kind) => {
    const failure = refusal(status, body);
    expect([failure.kind, failure.code]).toEqual([kind, 'answer-unreadable']);
    expect(failure.message).toContain(String(status));
    if (body !== '') expect(failure.message).not.toContain(body);
  });
});
