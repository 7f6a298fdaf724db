import type { ProblemCode } from '#contract/problem.ts';

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
  'x-problems': ProblemCode[];
  'x-traits': Trait[];
  'x-answer'?: Answer;
};

/**
 * Describes a route. The refusals that come with a token, a body, a parameter or a trait are added by themselves;
 * `problems` are those of the route.
 */
export function operation(
  operationId: string,
  summary: string,
  more: { tag: string; bearer?: Bearer; problems?: ProblemCode[]; traits?: Trait[]; answer?: Answer },
): Operation {
  return {
    operationId,
    summary,
    tags: [more.tag],
    security: more.bearer === undefined ? [] : [{ [more.bearer]: [] }],
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
