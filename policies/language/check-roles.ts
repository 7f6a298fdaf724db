import type { Diagnostic } from '#contract/diagnostic.ts';
import type { Declared } from './declared.ts';
import { errorAt, warningAt } from './diagnostic.ts';
import { type At, type Document, type RoleStatement, statementsOf } from './statement.ts';

/** Roles that are included must exist, once, and never include themselves by whatever way round. */
export function checkRoles(document: Document, declared: Declared): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  for (const role of statementsOf(document, 'role')) {
    const seen = new Set<string>();
    for (const included of role.includes) {
      if (!declared.knowsRole(included.value)) diagnostics.push(declared.unknownRole(included, included.value));
      if (seen.has(included.value))
        diagnostics.push(warningAt(included, 'repeated', `${included.value} is included twice`));
      seen.add(included.value);
    }
  }
  return [...diagnostics, ...cycles(declared.roles)];
}

/** Enough to see what is wrong; a document can hold as many circles as it has words. */
const shownCycles = 20;

/**
 * Each cycle once, at the word that closes it. Walks with a stack of its own: ten thousand roles in a row would
 * overflow the engine's.
 */
function cycles(roles: ReadonlyMap<string, RoleStatement>): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const done = new Set<string>();
  for (const start of roles.values()) {
    const path: { role: RoleStatement; next: number }[] = [{ role: start, next: 0 }];
    const onPath = new Set([start.name.value]);
    if (done.has(start.name.value)) continue;
    for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
      const included = step.role.includes[step.next++];
      if (included === undefined) {
        path.pop();
        onPath.delete(step.role.name.value);
        done.add(step.role.name.value);
      } else if (onPath.has(included.value)) {
        diagnostics.push(cycleAt(included, path));
        if (diagnostics.length >= shownCycles) return diagnostics;
      } else {
        const role = roles.get(included.value);
        if (role === undefined || done.has(included.value)) continue;
        path.push({ role, next: 0 });
        onPath.add(included.value);
      }
    }
  }
  return diagnostics;
}

const shownRoles = 8;

function cycleAt(closing: At<string>, path: readonly { role: RoleStatement }[]): Diagnostic {
  const names = path.map(({ role }) => role.name.value);
  const round = [...names.slice(names.indexOf(closing.value)), closing.value];
  const shown = round.length <= shownRoles ? round : [...round.slice(0, shownRoles - 2), '…', ...round.slice(-2)];
  const message =
    round.length === 2
      ? `the role ${closing.value} includes itself`
      : `these roles include each other in a circle: ${shown.join(' > ')}. Take one of the includes out`;
  return errorAt(closing, 'include-cycle', message);
}
