import { type ProblemCode, problem, problems } from '#contract/problem.ts';
import { exampleOf, type JsonSchema } from './example.ts';

/** The parts of an OpenAPI document that are finished here. */
export type Operation = {
  operationId?: string;
  parameters?: { name: string; in: string; schema: JsonSchema; example?: unknown }[];
  requestBody?: { required: boolean; content: Record<string, unknown> };
  responses?: Record<string, ResponseObject>;
  security?: Record<string, string[]>[];
  'x-problems'?: readonly ProblemCode[];
  'x-answer'?: { status: string; description: string; mediaType?: string };
};
type ResponseObject = {
  description: string;
  content?: Record<string, { schema?: JsonSchema | { $ref: string }; example?: unknown; examples?: unknown }>;
};
export type Paths = Record<string, Record<string, Operation>>;

const always: readonly ProblemCode[] = ['too-many-requests', 'internal-error', 'storage-unavailable'];
const ofBody: readonly ProblemCode[] = ['malformed-request', 'body-too-large', 'media-type', 'invalid-input'];

/**
 * Says of an operation what its route does not have to repeat: every way in which it may be refused, its body as JSON,
 * and examples of what goes in and out.
 */
export function finishOperation(route: Operation, bodySchema: JsonSchema | undefined): Operation {
  const { 'x-problems': own = [], 'x-answer': answer, ...operation } = route;
  const bearers = (operation.security ?? []).flatMap((scheme) => Object.keys(scheme));
  const codes: ProblemCode[] = [
    ...own,
    ...(bearers.length > 0 ? (['token-missing', 'token-invalid'] as const) : []),
    ...(bearers.includes('userToken') ? (['permission-denied'] as const) : []),
    ...(bodySchema === undefined ? [] : ofBody),
    ...(operation.parameters === undefined ? [] : (['invalid-input'] as const)),
    ...always,
  ];
  return {
    ...operation,
    ...(operation.parameters === undefined
      ? {}
      : {
          parameters: operation.parameters.map((parameter) => ({
            ...parameter,
            example: exampleOf(parameter.schema, parameter.name),
          })),
        }),
    ...(bodySchema === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: bodySchema, example: exampleOf(bodySchema) } },
          },
        }),
    responses: { ...answers(operation.responses, answer), ...refusals(codes) },
  };
}

function answers(
  responses: Record<string, ResponseObject> = {},
  answer: Operation['x-answer'],
): Record<string, ResponseObject> {
  if (answer !== undefined) {
    const { status, description, mediaType } = answer;
    const content = mediaType === undefined ? {} : { content: { [mediaType]: { schema: { type: 'string' } } } };
    return { [status]: { description, ...content } };
  }
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => {
      const schema = (response.content?.['application/json']?.schema as JsonSchema | undefined) ?? {};
      const content = { 'application/json': { schema, example: exampleOf(schema) } };
      return [status, { description: status === '201' ? 'Made' : 'The answer', content }];
    }),
  );
}

function refusals(codes: readonly ProblemCode[]): Record<string, ResponseObject> {
  const byStatus = Map.groupBy(new Set(codes), (code) => problems[code][0]);
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => [
      String(status),
      {
        description: ofStatus.map((code) => problems[code][1]).join('; '),
        content: {
          'application/problem+json': {
            schema: { $ref: '#/components/schemas/Problem' },
            examples: Object.fromEntries(ofStatus.map((code) => [code, { value: problem(code) }])),
          },
        },
      },
    ]),
  );
}
