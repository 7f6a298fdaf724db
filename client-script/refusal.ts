import * as v from 'valibot';
import { type FieldError, Problem, type ProblemCode } from '#contract/problem.ts';
import { ClientFailure, type FailureKind } from './failure.ts';

const anew = 'Ask your admin for a new code (postern code add) and run the join line again.';
const later = 'Wait a minute and run it again; nothing is lost.';

/** What the holder of a code can do about each refusal. Others end with the master's own words. */
const advice: Partial<Record<ProblemCode, { kind: FailureKind; next: string }>> = {
  'code-unknown': { kind: 'refused', next: `Check the code for typing errors. If it is right, it is void: ${anew}` },
  'code-used': { kind: 'refused', next: `A code is for one device. ${anew}` },
  'code-expired': { kind: 'refused', next: anew },
  'lease-expired': { kind: 'refused', next: 'Run it again with the same code.' },
  'key-taken': {
    kind: 'refused',
    next: 'The master knows this key from an earlier join. Run `postern-client leave --force` to drop it, then join with a new code.',
  },
  'key-refused': {
    kind: 'refused',
    next: 'Run `postern-client leave --force` to drop this key, then join with a new code.',
  },
  'address-mismatch': { kind: 'refused', next: 'Run it again with the same code.' },
  'pool-exhausted': { kind: 'refused', next: 'Ask your admin to remove devices that are gone, or to grow the pool.' },
  'token-invalid': {
    kind: 'refused',
    next: "The device may have been revoked; or this machine's clock is wrong: check it against the time of day.",
  },
  'too-many-requests': { kind: 'refused', next: later },
  'storage-unavailable': { kind: 'unreachable', next: later },
  'not-ready': { kind: 'unreachable', next: later },
  'internal-error': { kind: 'unreachable', next: 'Run it again; if it stays, tell your admin.' },
};

/** The master's "no", in words for the person at this end. */
export function refusal(status: number, body: string): ClientFailure {
  const problem = readProblem(body);
  if (problem === undefined) {
    const kind = status >= 500 ? 'unreachable' : 'failed';
    return new ClientFailure(
      kind,
      'answer-unreadable',
      `The master's address answered ${status}, and not as a Postern master does`,
      'Check the address in the join line: another program may answer there.',
    );
  }
  const { kind, next } = advice[problem.code] ?? {
    kind: 'refused',
    next: problem.detail ?? 'Show this to your admin.',
  };
  const fields = (problem.errors ?? []).map(({ path, message }: FieldError) => `${path} ${message}`);
  return new ClientFailure(kind, problem.code, [problem.title, ...fields].join('; '), next);
}

function readProblem(body: string): Problem | undefined {
  try {
    return v.parse(Problem, JSON.parse(body));
  } catch {
    return undefined;
  }
}
