import type { ProblemCode } from '#contract/problem.ts';

/** Who a route is for; the name of its security scheme in the OpenAPI document. */
export type Bearer = 'userToken' | 'agentToken' | 'deviceToken' | 'enrolmentToken';

type Answer = { status: string; description: string; mediaType?: string };

/** What the OpenAPI document says about a route, beside its schemas. Kept in `x-` fields until the document is made. */
export type Operation = {
  operationId: string;
  summary: string;
  tags: string[];
  security: Record<string, string[]>[];
  'x-problems': ProblemCode[];
  'x-answer'?: Answer;
};

/**
 * Describes a route. The refusals that come with a token, a body or a parameter are added by themselves; `problems`
 * are those of the route.
 */
export function operation(
  operationId: string,
  summary: string,
  more: { tag: string; bearer?: Bearer; problems?: ProblemCode[]; answer?: Answer },
): Operation {
  return {
    operationId,
    summary,
    tags: [more.tag],
    security: more.bearer === undefined ? [] : [{ [more.bearer]: [] }],
    'x-problems': more.problems ?? [],
    ...(more.answer === undefined ? {} : { 'x-answer': more.answer }),
  };
}

/** An answer that is not JSON. */
export function text(mediaType: string, description: string): Answer {
  return { status: '200', description, mediaType };
}

export const noContent: Answer = { status: '204', description: 'Done; there is nothing to say.' };
