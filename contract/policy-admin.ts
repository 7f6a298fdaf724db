import * as v from 'valibot';
import { Convergence } from './admin.ts';
import { Diagnostic } from './diagnostic.ts';
import { Count, Timestamp } from './name.ts';
import { PolicyText } from './policy.ts';

/** The policy as admins read and change it. Its diagnostics and its words are for people, the rest for programs too. */

/** Why a document was changed, for those who read its history: one line. */
export const PolicyNote = v.pipe(
  v.string(),
  v.maxLength(500, 'must have at most 500 characters'),
  v.regex(/^[^\p{C}\u2028\u2029]*$/u, 'must be one line without control characters'),
  v.examples(['GitLab for developers']),
);

const example = 'role developer\nallow developer -> devices\n';
const Document = v.pipe(PolicyText, v.examples([example]));

/** The document in force. `updatedBy` put it there; `warnings` are those of this moment. */
export const PolicyResource = v.object({
  revision: Count,
  document: Document,
  updatedAt: Timestamp,
  updatedBy: v.string(),
  note: v.nullable(v.string()),
  warnings: v.array(Diagnostic),
});
export type PolicyResource = v.InferOutput<typeof PolicyResource>;

export const NewPolicy = v.strictObject({ document: Document, note: v.optional(PolicyNote) });
export type NewPolicy = v.InferOutput<typeof NewPolicy>;

const Piece = v.object({ addresses: v.array(v.string()), ports: v.array(v.string()) });

/** Access by one line that one document gives and the other does not. See `policies/meaning/diff.ts`. */
const AccessChange = v.object({
  target: v.string(),
  line: Count,
  from: v.nullable(Timestamp),
  until: v.nullable(Timestamp),
  pieces: v.array(Piece),
});

/** What a document gives and takes, by those whom it concerns in the same way. `words` says it all to people. */
export const PolicyDiff = v.object({
  changes: v.array(v.object({ who: v.array(v.string()), given: v.array(AccessChange), taken: v.array(AccessChange) })),
  words: v.array(v.string()),
});
export type PolicyDiff = v.InferOutput<typeof PolicyDiff>;

/** `convergence` is null where nothing was put in force: a dry run. */
export const PolicyChanged = v.object({
  ...PolicyResource.entries,
  diff: PolicyDiff,
  convergence: v.nullable(Convergence),
});
export type PolicyChanged = v.InferOutput<typeof PolicyChanged>;

export const PolicyQuestion = v.strictObject({ document: Document });

/** The document in its plain form: parts of neighbouring lines under each other, comments and order as they were. */
export const PolicyFormatted = v.object({ document: Document });
export type PolicyFormatted = v.InferOutput<typeof PolicyFormatted>;

/** `ok` says that the document could be put in force now. */
export const PolicyCheck = v.object({ ok: v.boolean(), diagnostics: v.array(Diagnostic) });
export type PolicyCheck = v.InferOutput<typeof PolicyCheck>;

/** Compared with the one in force: a document, or an earlier revision of it. */
export const PolicyComparison = v.union(
  [PolicyQuestion, v.strictObject({ revision: Count })],
  'must have a document or a revision',
);
export type PolicyComparison = v.InferOutput<typeof PolicyComparison>;

/** As in a `test` line: who, where to, and on which port if that matters. */
export const AccessQuestion = v.strictObject({
  subject: v.pipe(v.string(), v.maxLength(400), v.examples(['role:developer'])),
  target: v.pipe(v.string(), v.maxLength(100), v.examples(['devices'])),
  port: v.optional(v.pipe(v.string(), v.maxLength(20), v.examples(['tcp/22']))),
});
export type AccessQuestion = v.InferOutput<typeof AccessQuestion>;

export const AccessExplanation = v.object({
  subject: v.string(),
  target: v.string(),
  port: v.nullable(v.string()),
  verdict: v.picklist(['allowed', 'partly', 'denied', 'unknown']),
  lines: v.array(v.object({ line: Count, text: v.string(), until: v.nullable(Timestamp) })),
  through: v.array(v.object({ node: v.string(), device: v.nullable(v.string()) })),
  words: v.array(v.string()),
});
export type AccessExplanation = v.InferOutput<typeof AccessExplanation>;

/** What is open to one subject by one line. `ports` is empty where every port is. */
const OpenPlace = v.object({
  target: v.string(),
  place: v.string(),
  ports: v.array(v.string()),
  until: v.nullable(Timestamp),
  line: Count,
});

/**
 * All that is open now: the nodes' own plumbing, ports that are closed to the public and open through the tunnel, and
 * what each subject of the document reaches, a role with all that it includes.
 */
export const EffectivePolicy = v.object({
  revision: Count,
  plumbing: v.array(v.object({ name: v.string(), port: v.string(), node: v.nullable(v.string()) })),
  closedPorts: v.array(v.object({ node: v.string(), device: v.string(), port: v.string(), line: Count })),
  subjects: v.array(v.object({ subject: v.string(), open: v.array(OpenPlace) })),
  words: v.array(v.string()),
});
export type EffectivePolicy = v.InferOutput<typeof EffectivePolicy>;

/** A document that is or was in force. */
export const PolicyRevision = v.object({
  revision: Count,
  at: Timestamp,
  actor: v.string(),
  note: v.nullable(v.string()),
});
export type PolicyRevision = v.InferOutput<typeof PolicyRevision>;

export const PolicyRevisionText = v.object({ ...PolicyRevision.entries, document: Document });
export type PolicyRevisionText = v.InferOutput<typeof PolicyRevisionText>;

export const PolicyRollback = v.strictObject({ revision: Count, note: v.optional(PolicyNote) });
export type PolicyRollback = v.InferOutput<typeof PolicyRollback>;

/** One `allow` line, in the spelling of the language. */
export const NewGrant = v.strictObject({
  subject: AccessQuestion.entries.subject,
  target: AccessQuestion.entries.target,
  ports: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(20), v.examples(['tcp/22']))), v.maxLength(32))),
  until: v.optional(v.pipe(v.string(), v.maxLength(30), v.examples(['2026-12-01']))),
});
export type NewGrant = v.InferOutput<typeof NewGrant>;

/** Which line, or lines, of the document say it now. */
export const GrantLines = v.object({
  revision: Count,
  lines: v.array(v.object({ line: Count, text: v.string() })),
});
export type GrantLines = v.InferOutput<typeof GrantLines>;
