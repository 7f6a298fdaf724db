import { type ProblemCode, problem, problems } from '#contract/problem.ts';

/** What a script or a person does about each refusal. A code without a line here does not compile. */
const remedies: Record<ProblemCode, string> = {
  'malformed-request': 'Send a body that is JSON in UTF-8, on a path that is spelt as in the API page.',
  'key-refused': 'Make a new key pair. All-zero and low-order keys, and keys of nodes, are never taken.',
  'token-missing': 'Send `Authorization: Bearer TOKEN`.',
  'token-invalid': 'Use the kind of token the route asks for, and one that has not run out or been withdrawn.',
  'permission-denied': 'Ask an owner for another permission, or whether your user is disabled.',
  'not-found': 'List the things of this kind: the name or id is another one, or it was removed.',
  'code-unknown': 'Check the code for typing errors, else ask your admin for a new one.',
  'method-not-allowed': 'Use one of the methods that the answer names.',
  'code-used': 'Ask your admin for a new code. One code lets one device in; while it is reserved, one key holds it.',
  'key-taken': 'Make a new key pair: no two devices or nodes share one.',
  'address-mismatch': 'Confirm the address that the enrolment answered with.',
  'already-exists': 'Choose another name, or change the one that is there.',
  'idempotency-in-flight': 'Wait for the first answer, or send the request again after `Retry-After` seconds.',
  'in-use':
    'Do first what the answer says: the lines of the policy go before a node they name, a disabled user gets no code.',
  'limit-reached': 'Remove one first.',
  'last-owner': 'Make somebody else an owner first.',
  'witness-wanted': 'For agents: send the snapshot that is held to `/v1/agent/witness`, then ask again.',
  'code-expired': 'Ask your admin for a new code.',
  'lease-expired': 'Redeem the code again: it stays valid until its own expiry.',
  'precondition-failed': 'Read it again, look at what changed, and send the change with the new `ETag`.',
  'body-too-large': 'Send at most what the answer allows.',
  'media-type': 'Send `Content-Type: application/json`.',
  'invalid-input': 'Correct the fields in `errors`. Each has its path and what is wrong, never the value.',
  'policy-refused':
    'Correct what `diagnostics` say, each with its line and column. The policy in force stays as it is.',
  'idempotency-mismatch': 'Take a new `Idempotency-Key` for each new request; keep it only for repeating the same one.',
  'precondition-required': 'Read the policy, and send its `ETag` as `If-Match` with the change.',
  'too-many-requests': 'Wait as many seconds as the header `Retry-After` says.',
  'internal-error': 'Nothing is wrong with the request. The log of the master says more.',
  'pool-exhausted': 'Remove devices that are gone. Every address of the pool is given out or still resting.',
  'storage-unavailable': 'Nothing was changed. Look at the disk of the master, then send the request again.',
  'stale-master': 'Ask the master that took over. To have this one go on: `postern master promote` on its machine.',
  'not-ready': 'Send the request again in a moment; `reasons`, where there are any, say what to repair.',
};

/** The page on the API's refusals, in the order of the contract. */
export function renderApiErrors(): string {
  const codes = Object.keys(problems) as ProblemCode[];
  const rows = codes.map((code) => [`\`${code}\``, String(problems[code][0]), problems[code][1], remedies[code]]);
  return `<!-- Made from contract/problem.ts by: bun ops/docs/main.ts -->

# What the API says when it refuses

Every refusal is a problem document (RFC 9457) of the type \`application/problem+json\`. Scripts switch on \`code\`: it stays
what it is, while titles and details may be worded anew. No refusal repeats what was sent, but for the words of a policy.

\`\`\`json
${JSON.stringify(problem('code-used', 'Ask your admin for a new one.'), undefined, 2)}
\`\`\`

\`invalid-input\` adds \`errors\`, a list of \`{path, message}\`. \`policy-refused\` adds \`diagnostics\`, all of them, each
\`{severity, code, line, column, length, message, suggestion?}\`; \`in-use\` adds \`lines\` of the policy, \`{line, text}\`, where
those are what is in the way.

${table([['code', 'status', 'title', 'what to do'], ...rows])}
`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
