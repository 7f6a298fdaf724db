import { type ProblemCode, problem, problems } from '#contract/problem.ts';
import { exampleOf, type JsonSchema } from './example.ts';

/** The parts of an OpenAPI document that are finished here. */
export type Operation = {
  operationId?: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: { required: boolean; content: Record<string, unknown> };
  responses?: Record<string, ResponseObject>;
  security?: Record<string, string[]>[];
  'x-needs'?: string;
  'x-problems'?: readonly ProblemCode[];
  'x-traits'?: readonly string[];
  'x-answer'?: { status: string; description: string; mediaType?: string };
};
type Parameter = {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: JsonSchema;
  example?: unknown;
};
type Header = { description: string; schema: JsonSchema };
type ResponseObject = {
  description: string;
  headers?: Record<string, Header>;
  content?: Record<string, { schema?: JsonSchema | { $ref: string }; example?: unknown; examples?: unknown }>;
};
export type Paths = Record<string, Record<string, Operation>>;

const always: readonly ProblemCode[] = ['too-many-requests', 'internal-error', 'storage-unavailable'];
const ofBody: readonly ProblemCode[] = ['malformed-request', 'body-too-large', 'media-type', 'invalid-input'];

const text: JsonSchema = { type: 'string' };
const ifMatch: Parameter = {
  name: 'If-Match',
  in: 'header',
  description: 'The ETag of what you saw: the change is refused when it is something else by now.',
  schema: text,
};
const ifNoneMatch: Parameter = {
  name: 'If-None-Match',
  in: 'header',
  description: 'The ETag of what you have: the answer is 304 when it is still that.',
  schema: text,
};
const idempotencyKey: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'A new value for each new request, such as a UUID. The same request sent again gets the same answer.',
  schema: text,
};

const etag: Header = { description: 'What to send as If-Match or If-None-Match.', schema: text };
const link: Header = { description: 'The next page, `rel="next"`; absent on the last one.', schema: text };
const location: Header = { description: 'Where the made thing is.', schema: text };
const replayed: Header = { description: '`true` when this is the answer to an earlier request.', schema: text };
const retryAfter: Header = { description: 'Seconds to wait before the next attempt.', schema: { type: 'integer' } };

/** Refusals that come with the header Retry-After. */
const later: readonly string[] = ['429', '503'];

/**
 * Says of an operation what its route does not have to repeat: every way in which it may be refused, its body as JSON,
 * and examples of what goes in and out.
 */
export function finishOperation(route: Operation, bodySchema: JsonSchema | undefined): Operation {
  const { 'x-needs': _, 'x-problems': own = [], 'x-traits': traits = [], 'x-answer': answer, ...operation } = route;
  const has = (trait: string) => traits.includes(trait);
  const isRead = has('tagged') && !has('conditional') && !has('repeatable');
  const parameters: Parameter[] = [
    ...(operation.parameters ?? []),
    ...(has('conditional') ? [ifMatch] : []),
    ...(isRead ? [ifNoneMatch] : []),
    ...(has('repeatable') ? [idempotencyKey] : []),
  ];
  const bearers = (operation.security ?? []).flatMap((scheme) => Object.keys(scheme));
  const codes: ProblemCode[] = [
    ...own,
    ...(bearers.length > 0 ? (['token-missing', 'token-invalid'] as const) : []),
    ...(bearers.includes('userToken') ? (['permission-denied'] as const) : []),
    ...(bodySchema === undefined ? [] : ofBody),
    ...(parameters.length === 0 ? [] : (['invalid-input'] as const)),
    ...(has('conditional') ? (['precondition-failed'] as const) : []),
    ...(has('repeatable') ? (['idempotency-in-flight', 'idempotency-mismatch'] as const) : []),
    ...always,
  ];
  return {
    ...operation,
    ...(parameters.length === 0
      ? {}
      : {
          parameters: parameters.map(finishParameter),
        }),
    ...(bodySchema === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: bodySchema, example: exampleOf(bodySchema) } },
          },
        }),
    responses: {
      ...withHeaders(answers(operation.responses, answer), {
        ...(has('tagged') ? { ETag: etag } : {}),
        ...(has('paged') ? { Link: link } : {}),
        ...(has('repeatable') ? { Location: location, 'Idempotency-Replayed': replayed } : {}),
      }),
      ...(isRead ? { 304: { description: 'It is still what you have.', headers: { ETag: etag } } } : {}),
      ...refusals(codes),
    },
  };
}

/** The page fills in every example: of what may be left out it must know none. */
function finishParameter(parameter: Parameter): Parameter {
  const { description } = parameter.schema;
  return {
    ...parameter,
    ...(description === undefined ? {} : { description }),
    ...(parameter.required === true ? { example: exampleOf(parameter.schema, parameter.name) } : {}),
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

function withHeaders(
  responses: Record<string, ResponseObject>,
  headers: Record<string, Header>,
): Record<string, ResponseObject> {
  if (Object.keys(headers).length === 0) return responses;
  return Object.fromEntries(Object.entries(responses).map(([status, response]) => [status, { ...response, headers }]));
}

function refusals(codes: readonly ProblemCode[]): Record<string, ResponseObject> {
  const byStatus = Map.groupBy(new Set(codes), (code) => problems[code][0]);
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => [
      String(status),
      {
        description: ofStatus.map((code) => problems[code][1]).join('; '),
        ...(later.includes(String(status)) ? { headers: { 'Retry-After': retryAfter } } : {}),
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
