import type { NodeCodeList } from '#contract/lists.ts';
import type { NodeCode, NodeEnrolmentRequest } from '#contract/node-enrolment.ts';
import { type NodeCodeFacts, nodeCodeState, redeemNodeCode } from '../decisions/node-codes.ts';
import type { Result } from '../decisions/result.ts';
import { audit, countAudited } from './audit.ts';
import { type Asked, equal, type Page, readPage } from './listing.ts';
import { addNode, findNode, type StoredNode } from './nodes.ts';
import { planned, type Store } from './open.ts';

/** A node's code as it is kept: only its hash, and the signed statement that backs it. */
export type StoredNodeCode = NodeCodeFacts & {
  id: string;
  node: string;
  hash: string;
  backing: string;
  endpoints: string[] | null;
  priority: number | null;
  createdAt: string;
};

type Row = {
  id: string;
  node: string;
  hash: string;
  backing: string;
  endpoints: string | null;
  priority: number | null;
  created_at: string;
  expires_at: string;
  spent_at: string | null;
  withdrawn_at: string | null;
  public_key: string | null;
  agent_key: string | null;
  is_node: number;
};

const columns = `id, node, hash, backing, endpoints, priority, created_at, expires_at, spent_at, withdrawn_at, public_key,
  agent_key, EXISTS (SELECT 1 FROM nodes WHERE nodes.name = node_codes.node AND nodes.agent_key = node_codes.agent_key
    AND nodes.public_key = node_codes.public_key) AS is_node`;

/** One row for each attempt would let whoever holds a code fill the disk; the first few say it all. */
const alertsPerCode = 10;

const toCode = (row: Row): StoredNodeCode => ({
  id: row.id,
  node: row.node,
  hash: row.hash,
  backing: row.backing,
  endpoints: row.endpoints === null ? null : JSON.parse(row.endpoints),
  priority: row.priority,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  spentAt: row.spent_at,
  withdrawnAt: row.withdrawn_at,
  spentBy:
    row.public_key === null || row.agent_key === null ? null : { publicKey: row.public_key, agentKey: row.agent_key },
  isNode: row.is_node === 1,
});

export function findNodeCodeByHash({ db }: Store, hash: string): StoredNodeCode | undefined {
  const row = db.query<Row, [string]>(`SELECT ${columns} FROM node_codes WHERE hash = ${planned}`).get(hash);
  return row === null ? undefined : toCode(row);
}

export function findNodeCode({ db }: Store, id: string): StoredNodeCode | undefined {
  const row = db.query<Row, [string]>(`SELECT ${columns} FROM node_codes WHERE id = ${planned}`).get(id);
  return row === null ? undefined : toCode(row);
}

/** A code as admins see it: what became of it, and never the code. */
export function shownNodeCode(code: StoredNodeCode, now: Date): NodeCode {
  const { id, node: name, endpoints, priority, createdAt, expiresAt } = code;
  return { id, name, state: nodeCodeState(code, now), endpoints, priority, createdAt, expiresAt };
}

export type NodeCodeSort = NonNullable<NodeCodeList['sort']>;

export function pageOfNodeCodes(
  store: Store,
  { name, state }: Pick<NodeCodeList, 'name' | 'state'>,
  asked: Asked<NodeCodeSort>,
  now: Date,
): Page<NodeCode> {
  const unused = 'spent_at IS NULL AND withdrawn_at IS NULL';
  const at = { now: now.toISOString() };
  const inState = {
    open: { sql: `${unused} AND expires_at > $now`, with: at },
    expired: { sql: `${unused} AND expires_at <= $now`, with: at },
    spent: { sql: 'spent_at IS NOT NULL' },
    withdrawn: { sql: 'withdrawn_at IS NOT NULL' },
  };
  const listing = {
    columns,
    table: 'node_codes',
    where: [equal('node', 'name', name), state === undefined ? undefined : inState[state]],
    orders: { createdAt: 'created_at', expiresAt: 'expires_at' },
    id: 'id',
  };
  const page = readPage<Row>(store, listing, asked);
  return { ...page, rows: page.rows.map((row) => shownNodeCode(toCode(row), now)) };
}

export function addNodeCode(
  store: Store,
  code: Pick<StoredNodeCode, 'id' | 'node' | 'hash' | 'backing' | 'endpoints' | 'priority' | 'expiresAt'>,
  actor: string,
  now: Date,
): Result<undefined> {
  return store.write((): Result<undefined> => {
    const { id, node, endpoints, priority, expiresAt } = code;
    if (findNode(store, node) !== undefined)
      return { ok: false, reason: 'already-exists', detail: 'A node with this name exists.' };
    store.db
      .query(
        `INSERT INTO node_codes (id, node, hash, backing, endpoints, priority, created_at, expires_at)
         VALUES ($id, $node, $hash, $backing, $endpoints, $priority, $now, $expiresAt)`,
      )
      .run({ ...code, endpoints: endpoints === null ? null : JSON.stringify(endpoints), now: now.toISOString() });
    audit(store, now, {
      actor,
      act: 'node-code.add',
      subject: id,
      detail: { node, endpoints, priority, expiresAt },
    });
    return { ok: true, value: undefined };
  });
}

/** Makes a code worthless. Withdrawing it again changes nothing. */
export function withdrawNodeCode(store: Store, id: string, actor: string, now: Date): Result<undefined> {
  return store.write((): Result<undefined> => {
    const code = findNodeCode(store, id);
    if (code === undefined) return { ok: false, reason: 'not-found' };
    if (code.spentAt !== null)
      return { ok: false, reason: 'code-used', detail: 'A machine has used it; remove the node instead.' };
    if (code.withdrawnAt !== null) return { ok: true, value: undefined };
    store.db.query('UPDATE node_codes SET withdrawn_at = ? WHERE id = ?').run(now.toISOString(), id);
    audit(store, now, { actor, act: 'node-code.withdraw', subject: id, detail: { node: code.node } });
    return { ok: true, value: undefined };
  });
}

/**
 * Makes a machine the node that a code names: of many that redeem it at once exactly one is. `address` is the endpoint
 * that it called from, for when nobody said another.
 */
export function enrolNode(
  store: Store,
  id: string,
  { publicKey, agentKey, mesh, endpoints }: Omit<NodeEnrolmentRequest, 'code'>,
  address: string | undefined,
  now: Date,
): Result<StoredNode> {
  return store.write((): Result<StoredNode> => {
    const code = findNodeCode(store, id);
    if (code === undefined) return { ok: false, reason: 'code-unknown' };
    const redemption = redeemNodeCode(code, { publicKey, agentKey }, now);
    if (redemption.kind === 'refuse') {
      if (redemption.alert) alertSecondKey(store, code, publicKey, now);
      return { ok: false, reason: redemption.reason, detail: redemption.detail };
    }
    if (redemption.kind === 'repeat') {
      const node = findNode(store, code.node);
      return node === undefined ? { ok: false, reason: 'code-used' } : { ok: true, value: node };
    }
    const known = endpoints ?? code.endpoints ?? (address === undefined ? undefined : [address]);
    if (known === undefined)
      return { ok: false, reason: 'invalid-input', errors: [{ path: 'endpoints', message: 'is missing' }] };
    const priority = code.priority === null ? {} : { priority: code.priority };
    const node = { name: code.node, publicKey, agentKey, endpoints: known, mesh, ...priority };
    const added = addNode(store, node, `node code ${id}`, now);
    if (!added.ok) return added;
    store.db
      .query('UPDATE node_codes SET spent_at = $now, public_key = $publicKey, agent_key = $agentKey WHERE id = $id')
      .run({ id, publicKey, agentKey, now: now.toISOString() });
    return added;
  });
}

function alertSecondKey(store: Store, code: StoredNodeCode, publicKey: string, now: Date): void {
  if (countAudited(store, 'code.second-key', code.id) >= alertsPerCode) return;
  audit(store, now, {
    actor: 'enrolment',
    act: 'code.second-key',
    subject: code.id,
    detail: { node: code.node, publicKey },
  });
}
