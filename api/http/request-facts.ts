import type { ProblemCode } from '#contract/problem.ts';

/** Who sent a request, by ids alone: logs and figures name no person. */
export type CallerName = { kind: 'user'; user: string; token: string } | { kind: string; id: string };

/** What may be told of a request in the log and in figures: nothing that the sender chose, but for its id. */
export type RequestFacts = {
  readonly id: string;
  /** The pattern of its path, such as `/v1/devices/:id`; undefined for a path that nobody serves. */
  route?: string;
  caller?: CallerName;
  problem?: ProblemCode;
};

const known = new WeakMap<Request, RequestFacts>();

/** The facts of a request, to be read and completed along its way. */
export function factsOf(request: Request): RequestFacts {
  const found = known.get(request);
  if (found !== undefined) return found;
  const facts: RequestFacts = { id: idIn(request.headers.get('x-request-id')) ?? Bun.randomUUIDv7() };
  known.set(request, facts);
  return facts;
}

/** A caller's or a proxy's own id: a UUID or 32 hex digits. No code, key or token of ours can look like one. */
function idIn(header: string | null): string | undefined {
  if (header === null) return undefined;
  const isId = /^(?:[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i.test(header);
  return isId ? header.toLowerCase() : undefined;
}
