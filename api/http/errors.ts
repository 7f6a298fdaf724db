import { Elysia } from 'elysia';
import { type Problem, type ProblemCode, problem } from '#contract/problem.ts';
import { fieldErrors } from '../formats/field-errors.ts';
import { isStorageFailure } from '../store/errors.ts';
import { Refusal } from './refusal.ts';
import { factsOf } from './request-facts.ts';

/** What the boundary tells the log: never the request's content. */
export type FailureLog = { error(fields: Record<string, unknown>, message: string): void };

/** The headers of every answer, errors included. */
export const commonHeaders = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
} as const;

type Failure = { code: string | number; error: unknown; request: Request; route?: string };

/** Must be used before any route: Elysia applies it only to what comes after. */
export function errorBoundary(log: FailureLog, methodsOf: (path: string) => readonly string[]) {
  return new Elysia().onError({ as: 'global' }, (failure) => answer(failure, log, methodsOf));
}

function answer(failure: Failure, log: FailureLog, methodsOf: (path: string) => readonly string[]): Response {
  const { request, route } = failure;
  // A body that cannot be read is refused before anything else has looked at the route.
  if (route !== undefined) factsOf(request).route = route;
  // Whatever a parser throws, Elysia wraps.
  const error = failure.code === 'PARSE' && failure.error instanceof Error ? failure.error.cause : failure.error;
  if (error instanceof Refusal) return send(request, error.problem, error.headers);
  switch (failure.code) {
    case 'VALIDATION':
      return invalid(failure, log);
    case 'PARSE':
    case 'INVALID_COOKIE_SIGNATURE':
    case 'INVALID_FILE_TYPE':
      return send(request, problem('malformed-request'));
    case 'NOT_FOUND': {
      const methods = methodsOf(new URL(request.url).pathname);
      if (methods.length === 0) return send(request, problem('not-found'));
      return send(request, problem('method-not-allowed', `Use ${methods.join(', ')}.`), { allow: methods.join(', ') });
    }
    default:
      return answerForFailure(request, error, log);
  }
}

function invalid({ error, request }: Failure, log: FailureLog): Response {
  const { type, validator, value } = error as { type?: string; validator?: unknown; value?: unknown };
  // An answer of ours that does not fit its own schema is our fault, and it may hold anything.
  if (type === 'response') return answerForFailure(request, new TypeError('an answer does not fit its schema'), log);
  return send(request, problem('invalid-input', undefined, fieldErrors(issuesOf(validator, value))));
}

function issuesOf(validator: unknown, value: unknown): readonly unknown[] {
  const wrapped = validator as { '~standard'?: StandardSchema; schema?: { '~standard'?: StandardSchema } };
  const schema = wrapped['~standard'] ?? wrapped.schema?.['~standard'];
  const result = schema?.validate(value);
  return result === undefined || result instanceof Promise ? [] : (result.issues ?? []);
}

type StandardSchema = { validate(value: unknown): { issues?: readonly unknown[] } | Promise<unknown> } & {
  validate(value: unknown): { issues?: readonly unknown[] };
};

/** What is said of something that went wrong on our side. */
export function answerForFailure(request: Request, error: unknown, log: FailureLog): Response {
  const { id, route } = factsOf(request);
  if (isStorageFailure(error)) {
    log.error({ id, route, err: error }, 'the database cannot be used at the moment');
    return send(
      request,
      problem('storage-unavailable', 'Nothing was changed. Try again; your admin should look at the disk.'),
    );
  }
  log.error({ id, route, err: error }, 'a request failed');
  return send(
    request,
    problem('internal-error', 'Nothing is wrong with your request. The log of the master says more.'),
  );
}

/** Seconds after which asking again may help, where the refusal itself does not know. */
const retryAfter: Partial<Record<ProblemCode, number>> = {
  'too-many-requests': 10,
  'pool-exhausted': 60,
  'storage-unavailable': 5,
  'not-ready': 2,
  'stale-master': 60,
};

function send(request: Request, document: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  const seconds = retryAfter[document.code];
  const facts = factsOf(request);
  facts.problem = document.code;
  return new Response(JSON.stringify({ ...document, instance: `urn:postern:request:${facts.id}` }), {
    status: document.status,
    headers: {
      ...commonHeaders,
      'content-type': 'application/problem+json',
      ...(seconds === undefined ? {} : { 'retry-after': String(seconds) }),
      ...headers,
    },
  });
}
