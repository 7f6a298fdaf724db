import * as v from 'valibot';
import { Diagnostic } from './diagnostic.ts';
import { Count } from './name.ts';

/**
 * Every way in which the API refuses, with its HTTP status and a title for people. The code is stable: scripts may
 * switch on it. See RFC 9457.
 */
export const problems = {
  'malformed-request': [400, 'The request could not be read'],
  'key-refused': [400, 'This key cannot be used'],
  'token-missing': [401, 'A token is needed'],
  'token-invalid': [401, 'The token is not valid here'],
  'permission-denied': [403, 'Your permission does not allow this'],
  'not-found': [404, 'There is no such thing'],
  'code-unknown': [404, 'This code is not known'],
  'method-not-allowed': [405, 'This method is not allowed here'],
  'code-used': [409, 'This code has been used'],
  'key-taken': [409, 'This key belongs to another device or node'],
  'address-mismatch': [409, 'This is not the address that was reserved'],
  'already-exists': [409, 'It exists already'],
  'idempotency-in-flight': [409, 'A request with this key is still under way'],
  'in-use': [409, 'Something still uses it'],
  'limit-reached': [409, 'There are as many of these as there may be'],
  'last-owner': [409, 'The last owner must stay'],
  'witness-wanted': [409, 'Show the newest snapshot you have first'],
  'code-expired': [410, 'This code has expired'],
  'lease-expired': [410, 'The reservation has run out'],
  'precondition-failed': [412, 'It is not what you saw'],
  'body-too-large': [413, 'The request body is too large'],
  'media-type': [415, 'The request body must be JSON'],
  'invalid-input': [422, 'Some fields are not valid'],
  'policy-refused': [422, 'This policy cannot be put in force'],
  'idempotency-mismatch': [422, 'This key was used for another request'],
  'precondition-required': [428, 'Say what you saw'],
  'too-many-requests': [429, 'Too many requests'],
  'internal-error': [500, 'The master failed'],
  'pool-exhausted': [503, 'No address is left in the pool'],
  'storage-unavailable': [503, 'The master cannot store anything at the moment'],
  'stale-master': [503, 'This master is behind what its nodes have seen'],
  'not-ready': [503, 'The master is not ready'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof problems;

/** A field that was refused: its path, and why; never its value. */
export const FieldError = v.object({ path: v.string(), message: v.string() });
export type FieldError = v.InferOutput<typeof FieldError>;

/** A line of the policy that is in the way. */
export const PolicyLine = v.object({ line: Count, text: v.string() });
export type PolicyLine = v.InferOutput<typeof PolicyLine>;

/**
 * RFC 9457 problem details as the API sends them (`application/problem+json`). `detail` says what to do next; `instance`
 * names the request by the id under which the master's log tells more, and `reasons` say why a master is not ready.
 */
export const Problem = v.object({
  type: v.string(),
  title: v.string(),
  status: v.number(),
  code: v.picklist(Object.keys(problems) as [ProblemCode, ...ProblemCode[]]),
  detail: v.optional(v.string()),
  errors: v.optional(v.array(FieldError)),
  instance: v.optional(v.string()),
  reasons: v.optional(v.array(v.string())),
  diagnostics: v.optional(v.array(Diagnostic)),
  lines: v.optional(v.array(PolicyLine)),
});
export type Problem = v.InferOutput<typeof Problem>;

/** What of a policy is the reason for a refusal: places where it is wrong, or lines that are in the way. */
export type PolicyReasons = { readonly diagnostics?: Diagnostic[]; readonly lines?: PolicyLine[] };

/**
 * @returns the problem document of a code; `detail` must hold neither secrets nor the caller's input. What stands in a
 * policy is told to those alone who may read it.
 */
export function problem(
  code: ProblemCode,
  detail?: string,
  errors?: FieldError[],
  { diagnostics, lines }: PolicyReasons = {},
): Problem {
  const [status, title] = problems[code];
  return {
    type: `urn:postern:problem:${code}`,
    title,
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(errors === undefined ? {} : { errors }),
    ...(diagnostics === undefined ? {} : { diagnostics }),
    ...(lines === undefined ? {} : { lines }),
  };
}
