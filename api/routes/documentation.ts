import type { ProblemCode } from '#contract/problem.ts';
import type { Act } from '../decisions/permissions.ts';

/** Who a route is for; the name of its security scheme in the OpenAPI document. */
export type Bearer = 'userToken' | 'agentToken' | 'deviceToken' | 'enrolmentToken';

/**
 * What a route shares with others of its kind: `paged` lists; `tagged` answers with an ETag; `conditional` changes,
 * which heed If-Match; `repeatable` ones, which heed Idempotency-Key.
 */
export type Trait = 'paged' | 'tagged' | 'conditional' | 'repeatable';

type Answer = { status: string; description: string; mediaType?: string };

/** What the OpenAPI document says about a route, beside its schemas. Kept in `x-` fields until the document is made. */
export type Operation = {
  operationId: string;
  summary: string;
  tags: string[];
  security: Record<string, string[]>[];
  'x-needs'?: Act;
  'x-problems': ProblemCode[];
  'x-traits': Trait[];
  'x-answer'?: Answer;
};

/**
 * Describes a route and declares who may use it: anybody, or the bearers of a token. Of a route for users, the tag is the
 * area a token must cover, and `needs` what the permission must allow: reading for GET and operating for the rest, when
 * absent. The refusals that come with a token, a body, a parameter or a trait are added by themselves;
 * `problems` are those of the route.
 */
export function operation(
  operationId: string,
  summary: string,
  more: { tag: string; bearer?: Bearer; needs?: Act; problems?: ProblemCode[]; traits?: Trait[]; answer?: Answer },
): Operation {
  return {
    operationId,
    summary,
    tags: [more.tag],
    security: more.bearer === undefined ? [] : [{ [more.bearer]: [] }],
    ...(more.needs === undefined ? {} : { 'x-needs': more.needs }),
    'x-problems': more.problems ?? [],
    'x-traits': more.traits ?? [],
    ...(more.answer === undefined ? {} : { 'x-answer': more.answer }),
  };
}

/** An answer that is not JSON. */
export function text(mediaType: string, description: string): Answer {
  return { status: '200', description, mediaType };
}

export const noContent: Answer = { status: '204', description: 'Done; there is nothing to say.' };

/** A public route that the OpenAPI document leaves out. */
export const hidden = { hide: true, security: [] as Record<string, string[]>[] };
