import type { FieldError } from '#contract/problem.ts';

/** The parts of a valibot issue that we look at. */
type Issue = {
  readonly message: string;
  readonly kind?: string;
  readonly type?: string;
  readonly expected?: string | null;
  readonly requirement?: unknown;
  readonly path?: readonly ({ readonly key: unknown } | PropertyKey)[] | undefined;
};

const mostErrors = 20;
/** How valibot begins the messages it makes itself: they go on to quote what was received. */
const ownMessage = /^Invalid [^:]*: (?:Expected|Received) /;

/**
 * What was wrong with which field, for people and programs. Nothing the caller sent comes back: not the value, nor the
 * name of a field that is not ours, which may be a secret in the wrong place.
 */
export function fieldErrors(issues: readonly unknown[]): FieldError[] {
  const errors = issues.map((issue) => fieldError(issue as Issue));
  // A pipe goes on after its first complaint; the first says what matters.
  const first = new Map(errors.reverse().map((error) => [error.path, error]));
  return [...first.values()].reverse().slice(0, mostErrors);
}

function fieldError(issue: Issue): FieldError {
  const keys = (issue.path ?? []).map((step) => String(typeof step === 'object' ? step.key : step));
  if (issue.type === 'strict_object' && issue.expected === 'never')
    return { path: keys.slice(0, -1).join('.'), message: 'has a field that is not known here' };
  return { path: keys.join('.'), message: ownMessage.test(issue.message) ? describe(issue) : issue.message };
}

function describe({ kind, type, expected, requirement }: Issue): string {
  if (kind === 'schema' && (type === 'strict_object' || type === 'object') && expected?.startsWith('"'))
    return 'is missing';
  switch (type) {
    case 'min_value':
      return `must be at least ${Number(requirement)}`;
    case 'max_value':
      return `must be at most ${Number(requirement)}`;
    case 'min_length':
      return `must have at least ${Number(requirement)} elements or characters`;
    case 'max_length':
      return `must have at most ${Number(requirement)} elements or characters`;
    case 'safe_integer':
      return 'must be a whole number';
    case 'strict_object':
    case 'object':
      return 'must be an object';
    case 'array':
      return 'must be a list';
    default:
      return kind === 'schema' && expected ? `must be ${expected}` : 'is not valid';
  }
}
