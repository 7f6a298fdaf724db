import type { FieldError, PolicyReasons, ProblemCode } from '#contract/problem.ts';

export type Refused = {
  readonly ok: false;
  readonly reason: ProblemCode;
  readonly detail?: string;
  readonly errors?: FieldError[];
  readonly policy?: PolicyReasons;
};

/** What was asked for, or why not, in the words of contract/problem.ts. */
export type Result<T> = { readonly ok: true; readonly value: T } | Refused;
