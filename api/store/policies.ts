import type { PolicyRevision, PolicyRevisionText } from '#contract/policy-admin.ts';
import type { PolicyLine } from '#contract/problem.ts';
import { type IndexedOutline, indexed, type Outline, outlineOf } from '#policies/desired/outline.ts';
import { splitLines } from '#policies/language/lex.ts';
import { parse } from '#policies/language/parse.ts';
import { type Asked, type Page, readPage } from './listing.ts';
import type { Store } from './open.ts';

/** Every document that was ever in force; the last one is. Rows are added and never touched again. */

/** `mark` is this putting in force's own: the same revision with another mark is another document. */
export type PolicyRow = PolicyRevisionText & { readonly mark: string };

const columns = 'revision, document, mark, at, actor, note';

/** What was last read of each database. Long documents are asked for by almost everything, and seldom change. */
const remembered = new WeakMap<Store, { policy: PolicyRow; outline?: IndexedOutline }>();

export function policyInForce(store: Store): PolicyRow {
  return remember(store).policy;
}

export function outlineInForce(store: Store): IndexedOutline {
  const memory = remember(store);
  memory.outline ??= indexed(outlineOf(parse(memory.policy.document).document));
  return memory.outline;
}

export function insertDocument(
  { db }: Store,
  row: Pick<PolicyRow, 'revision' | 'document' | 'actor' | 'note'>,
  now: Date,
): PolicyRow {
  const inserted = { ...row, mark: Bun.randomUUIDv7(), at: now.toISOString() };
  db.query(`INSERT INTO policies (${columns}) VALUES ($revision, $document, $mark, $at, $actor, $note)`).run(inserted);
  return inserted;
}

/** What was read of this document in another thread need not be read again. */
export function rememberOutline(store: Store, policy: PolicyRow, outline: Outline): void {
  remembered.set(store, { policy, outline: indexed(outline) });
}

/** These lines of the document in force, as they are written. */
export function textOfLines(store: Store, numbers: readonly number[]): PolicyLine[] {
  if (numbers.length === 0) return [];
  const lines = splitLines(policyInForce(store).document);
  return numbers.map((line) => ({ line, text: lines[line - 1] ?? '' }));
}

export function findPolicyRevision({ db }: Store, revision: number): PolicyRevisionText | undefined {
  const row = db
    .query<PolicyRevisionText, [number]>('SELECT revision, at, actor, note, document FROM policies WHERE revision = ?')
    .get(revision);
  return row ?? undefined;
}

export function pageOfPolicyRevisions(store: Store, asked: Asked<'revision' | '-revision'>): Page<PolicyRevision> {
  const listing = {
    columns: 'revision, at, actor, note',
    table: 'policies',
    where: [],
    orders: { revision: 'revision' },
    id: 'mark',
  };
  return readPage<PolicyRevision>(store, listing, asked);
}

function remember(store: Store): { policy: PolicyRow; outline?: IndexedOutline } {
  const { db } = store;
  const last = db.query<{ mark: string }, []>('SELECT mark FROM policies ORDER BY revision DESC LIMIT 1').get();
  if (last === null) throw new Error('the database has no policy: it was not made by init');
  const known = remembered.get(store);
  if (known?.policy.mark === last.mark) return known;
  const policy = db.query<PolicyRow, [string]>(`SELECT ${columns} FROM policies WHERE mark = ?`).get(last.mark);
  if (policy === null) throw new Error('the policy in force is gone');
  const memory = { policy };
  remembered.set(store, memory);
  return memory;
}
