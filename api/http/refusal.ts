import { type FieldError, type PolicyReasons, type Problem, type ProblemCode, problem } from '#contract/problem.ts';
import type { Result } from '../decisions/result.ts';

/** Thrown where a request ends in a refusal; the boundary turns it into problem+json. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: ProblemCode;
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail?: string,
    errors?: FieldError[],
    headers: Record<string, string> = {},
    policy: PolicyReasons = {},
  ) {
    super(code);
    this.code = code;
    this.problem = problem(code, detail, errors, policy);
    this.headers = headers;
  }
}

/** The value, or the refusal that the store or a decision gave instead. */
export function granted<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Refusal(result.reason, result.detail, result.errors, {}, result.policy);
}

/** The thing that was asked for, or 404. */
export function found<T>(thing: T | undefined): T {
  if (thing === undefined) throw new Refusal('not-found');
  return thing;
}

/** The master itself cannot do its work, for these reasons. */
export function notReady(reasons: readonly string[]): Refusal {
  const refusal = new Refusal('not-ready');
  Object.assign(refusal.problem, { reasons });
  return refusal;
}
