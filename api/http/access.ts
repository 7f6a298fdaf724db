import * as v from 'valibot';
import { TokenArea } from '#contract/token.ts';
import type { Act } from '../decisions/permissions.ts';

/** Who may use a route: anybody, or the bearers of one kind of token; of users, those who may do `act` in `area`. */
export type Access =
  | { kind: 'public' }
  | { kind: 'user'; act: Act; area: TokenArea }
  | { kind: 'agent' | 'device' | 'enrolment' };

/** A route as the application lists it. */
export type Route = { readonly method: string; readonly path: string; readonly hooks?: unknown };

const Declared = v.object({
  security: v.pipe(v.array(v.record(v.string(), v.array(v.string()))), v.maxLength(1)),
  tags: v.optional(v.array(v.string()), []),
  'x-needs': v.optional(v.picklist(['read', 'operate', 'own'])),
});

const kinds = { agentToken: 'agent', deviceToken: 'device', enrolmentToken: 'enrolment' } as const;

/**
 * What a route declares by its `operation`. Of a route for users the area is its tag, and the act is `read` for GET and
 * `operate` for the rest unless it says what it `needs`.
 *
 * @throws Error for a route that does not say who may use it.
 */
export function accessOf({ method, path, hooks }: Route): Access {
  const declared = v.safeParse(v.object({ detail: Declared }), hooks);
  const problem = (why: string) => new Error(`${method} ${path} ${why}`);
  if (!declared.success) throw problem('does not declare who may use it: describe it with operation()');
  const { security, tags, 'x-needs': needs } = declared.output.detail;
  const [scheme] = security.flatMap((schemes) => Object.keys(schemes));
  if (scheme === undefined) return { kind: 'public' };
  if (scheme in kinds) return { kind: kinds[scheme as keyof typeof kinds] };
  const area = v.safeParse(TokenArea, tags[0]?.toLowerCase());
  if (scheme !== 'userToken' || !area.success)
    throw problem('has a tag that is no area of tokens: see contract/token.ts');
  return { kind: 'user', act: needs ?? (method === 'GET' ? 'read' : 'operate'), area: area.output };
}

/** The access of every route, by method and path. @throws Error when a route does not declare it. */
export function accessTable(routes: readonly Route[]): (method: string, path: string) => Access {
  const table = new Map(routes.map((route) => [`${route.method} ${route.path}`, accessOf(route)]));
  return (method, path) => {
    // Elysia answers HEAD by the route for GET.
    const access = table.get(`${method === 'HEAD' ? 'GET' : method} ${path}`);
    if (access === undefined) throw new Error('a request reached a route that nobody declared');
    return access;
  };
}

/** The access of a route in words for people. */
export function describeAccess(access: Access): string {
  if (access.kind === 'public') return 'Open to everybody.';
  if (access.kind !== 'user') return `For ${bearers[access.kind]}.`;
  return `Needs ${needs[access.act]}, and a token for all areas or for ${access.area}.`;
}

export const bearers: Record<Exclude<Access['kind'], 'public'>, string> = {
  user: 'a user',
  agent: 'an agent',
  device: 'a device',
  enrolment: 'an enrolment',
};

export const needs: Record<Act, string> = {
  read: 'the permission auditor, operator or owner',
  operate: 'the permission operator or owner',
  own: 'the permission owner',
};
