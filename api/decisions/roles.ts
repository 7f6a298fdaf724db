import type { FieldError } from '#contract/problem.ts';
import type { Outline } from '#policies/desired/outline.ts';

/** Why a user cannot have this role, or undefined when it can. */
export function roleProblem({ roles }: Pick<Outline, 'roles'>, role: string, path = 'role'): FieldError | undefined {
  if (roles.some(({ name }) => name === role)) return undefined;
  const known = roles.map(({ name }) => name).join(', ');
  return { path, message: `is not a role of the policy, which has ${known === '' ? 'none' : known}` };
}
