import type { NewMesh, NewNode } from '#contract/admin.ts';
import type { AgentReport } from '#contract/agent.ts';
import type { NodeList } from '#contract/lists.ts';
import { numberToIpv4 } from '#contract/network.ts';
import type { NodeChange } from '#contract/node-enrolment.ts';
import type { VrrpState } from '#contract/probe.ts';
import type { NodeMesh, RosterNode } from '#contract/roster.ts';
import type { Version } from '#contract/snapshot.ts';
import { linesNaming } from '#policies/desired/outline.ts';
import { meshAddress } from '../decisions/addresses.ts';
import { driftToNote, driftWindowMilliseconds } from '../decisions/drift.ts';
import { meshEndpoints } from '../decisions/mesh-endpoints.ts';
import { inUse } from '../decisions/policy-resources.ts';
import type { Result } from '../decisions/result.ts';
import { freeNodeAddress, restAddress } from './addresses.ts';
import { audit, auditedSince } from './audit.ts';
import { refreshBundles } from './bundles.ts';
import { type Asked, type Page, readPage } from './listing.ts';
import type { Store } from './open.ts';
import { outlineInForce, textOfLines } from './policies.ts';
import { currentVersion, raiseRevision, readSettings, type Settings } from './settings.ts';

/** A node as the master knows it; `agentKey` is the public key that its agent signs with. */
export type StoredNode = Required<Omit<RosterNode, 'mesh'>> & {
  mesh: NodeMesh | null;
  agentKey: string;
  applied: Version | null;
  problem: string | null;
  vrrp: VrrpState | null;
  vip: boolean | null;
  healthy: boolean | null;
  reasons: string[];
  seenAt: string | null;
};

type Row = {
  name: string;
  public_key: string;
  agent_key: string;
  endpoints: string;
  tunnel_address: number;
  priority: number;
  mesh_key: string | null;
  mesh_endpoints: string;
  draining: number;
  vrrp: VrrpState | null;
  vip: number | null;
  healthy: number | null;
  reasons: string;
  applied_epoch: number | null;
  applied_revision: number | null;
  problem: string | null;
  seen_at: string | null;
};

const columns = `name, public_key, agent_key, endpoints, tunnel_address, priority, mesh_key, mesh_endpoints, draining, vrrp,
  vip, healthy, reasons, applied_epoch, applied_revision, problem, seen_at`;

const defaultPriority = 100;

type Places = Pick<Settings, 'pool' | 'mesh'>;

function toNode(row: Row, { pool, mesh }: Places): StoredNode {
  const { applied_epoch: epoch, applied_revision: revision } = row;
  return {
    name: row.name,
    publicKey: row.public_key,
    agentKey: row.agent_key,
    endpoints: JSON.parse(row.endpoints),
    tunnelAddress: numberToIpv4(row.tunnel_address),
    priority: row.priority,
    mesh:
      row.mesh_key === null || mesh === null
        ? null
        : {
            publicKey: row.mesh_key,
            address: meshAddress(mesh, pool, row.tunnel_address),
            endpoints: JSON.parse(row.mesh_endpoints),
          },
    draining: row.draining === 1,
    vrrp: row.vrrp,
    vip: row.vip === null ? null : row.vip === 1,
    healthy: row.healthy === null ? null : row.healthy === 1,
    reasons: JSON.parse(row.reasons),
    applied: epoch === null || revision === null ? null : { epoch, revision },
    problem: row.problem,
    seenAt: row.seen_at,
  };
}

export function allNodes(store: Store): StoredNode[] {
  const rows = store.db.query<Row, []>(`SELECT ${columns} FROM nodes ORDER BY name`).all();
  const settings = readSettings(store);
  return rows.map((row) => toNode(row, settings));
}

export type NodeSort = NonNullable<NodeList['sort']>;

export function pageOfNodes(store: Store, asked: Asked<NodeSort>): Page<StoredNode> {
  const orders = { name: 'name', priority: 'priority' };
  const page = readPage<Row>(store, { columns, table: 'nodes', where: [], orders, id: 'name' }, asked);
  const settings = readSettings(store);
  return { ...page, rows: page.rows.map((row) => toNode(row, settings)) };
}

export function findNode(store: Store, name: string): StoredNode | undefined {
  const row = store.db.query<Row, [string]>(`SELECT ${columns} FROM nodes WHERE name = ?`).get(name);
  return row === null ? undefined : toNode(row, readSettings(store));
}

/** The nodes as everybody may see them. */
export function rosterNodes(store: Store): RosterNode[] {
  return allNodes(store).map(({ name, publicKey, endpoints, tunnelAddress, priority, mesh, draining }) => ({
    name,
    publicKey,
    endpoints,
    tunnelAddress,
    priority,
    ...(mesh === null ? {} : { mesh }),
    ...(draining ? { draining } : {}),
  }));
}

export function addNode(store: Store, node: NewNode, actor: string, now: Date): Result<StoredNode> {
  return store.write((): Result<StoredNode> => {
    const { db } = store;
    if (findNode(store, node.name) !== undefined)
      return { ok: false, reason: 'already-exists', detail: 'A node with this name exists.' };
    const keyTaken = db
      .query(
        `SELECT 1 FROM nodes WHERE public_key = $publicKey OR agent_key = $agentKey
         UNION ALL SELECT 1 FROM devices WHERE public_key = $publicKey OR credential_key = $agentKey`,
      )
      .get({ publicKey: node.publicKey, agentKey: node.agentKey });
    const meshKey = node.mesh?.publicKey ?? null;
    if (keyTaken !== null || isMeshKeyTaken(store, meshKey, node)) return { ok: false, reason: 'key-taken' };
    const address = freeNodeAddress(store);
    if (address === undefined) return { ok: false, reason: 'pool-exhausted', detail: 'No address is left for nodes.' };
    const { revision } = raiseRevision(store, now);
    db.query(
      `INSERT INTO nodes (name, public_key, agent_key, endpoints, tunnel_address, priority, mesh_key, mesh_endpoints,
         added_revision)
       VALUES ($name, $publicKey, $agentKey, $endpoints, $address, $priority, $meshKey, $meshEndpoints, $revision)`,
    ).run({
      name: node.name,
      publicKey: node.publicKey,
      agentKey: node.agentKey,
      endpoints: JSON.stringify(node.endpoints),
      address,
      priority: node.priority ?? defaultPriority,
      meshKey,
      meshEndpoints: JSON.stringify(node.mesh?.endpoints ?? meshEndpoints(node.endpoints)),
      revision,
    });
    refreshBundles(store, 'all', revision, now);
    audit(store, now, { actor, act: 'node.add', subject: node.name, detail: { endpoints: node.endpoints } });
    const added = findNode(store, node.name);
    return added === undefined ? { ok: false, reason: 'not-found' } : { ok: true, value: added };
  });
}

/** Whether a node's key for the mesh is another's already, or the node's own for something else. */
function isMeshKeyTaken({ db }: Store, key: string | null, own: { name: string; publicKey: string }): boolean {
  if (key === null) return false;
  if (key === own.publicKey) return true;
  const taken = db
    .query(
      `SELECT 1 FROM nodes WHERE name <> $name AND (mesh_key = $key OR public_key = $key)
       UNION ALL SELECT 1 FROM devices WHERE public_key = $key`,
    )
    .get({ key, name: own.name });
  return taken !== null;
}

/** Gives a node its place in the mesh, or another key there. What it says again changes nothing. */
export function setMesh(store: Store, name: string, mesh: NewMesh, actor: string, now: Date): Result<StoredNode> {
  return store.write((): Result<StoredNode> => {
    const node = findNode(store, name);
    if (node === undefined) return { ok: false, reason: 'not-found' };
    const endpoints = mesh.endpoints ?? node.mesh?.endpoints ?? meshEndpoints(node.endpoints);
    const isKnown =
      node.mesh?.publicKey === mesh.publicKey && JSON.stringify(endpoints) === JSON.stringify(node.mesh.endpoints);
    if (isKnown) return { ok: true, value: node };
    if (isMeshKeyTaken(store, mesh.publicKey, node)) return { ok: false, reason: 'key-taken' };
    const { revision } = raiseRevision(store, now);
    store.db
      .query('UPDATE nodes SET mesh_key = $key, mesh_endpoints = $endpoints WHERE name = $name')
      .run({ key: mesh.publicKey, endpoints: JSON.stringify(endpoints), name });
    refreshBundles(store, 'all', revision, now);
    audit(store, now, { actor, act: 'node.mesh', subject: name, detail: { publicKey: mesh.publicKey, endpoints } });
    return { ok: true, value: findNode(store, name) ?? node };
  });
}

/** Changes what admins say of a node; what it is already is no change. */
export function changeNode(
  store: Store,
  name: string,
  change: NodeChange,
  actor: string,
  now: Date,
): Result<StoredNode> {
  return store.write((): Result<StoredNode> => {
    const node = findNode(store, name);
    if (node === undefined) return { ok: false, reason: 'not-found' };
    if (change.meshEndpoints !== undefined && node.mesh === null)
      return { ok: false, reason: 'in-use', detail: 'The node is not in the mesh yet; its agent brings it there.' };
    const before = {
      endpoints: node.endpoints,
      meshEndpoints: node.mesh?.endpoints ?? [],
      priority: node.priority,
      draining: node.draining,
    };
    const fields = ['endpoints', 'meshEndpoints', 'priority', 'draining'] as const;
    const changed = fields.filter(
      (field) => change[field] !== undefined && JSON.stringify(change[field]) !== JSON.stringify(before[field]),
    );
    if (changed.length === 0) return { ok: true, value: node };
    const { revision } = raiseRevision(store, now);
    const { endpoints = before.endpoints, meshEndpoints = before.meshEndpoints } = change;
    const { priority = before.priority, draining = before.draining } = change;
    store.db
      .query(
        `UPDATE nodes SET endpoints = $endpoints, mesh_endpoints = $meshEndpoints, priority = $priority,
           draining = $draining
         WHERE name = $name`,
      )
      .run({
        name,
        endpoints: JSON.stringify(endpoints),
        meshEndpoints: JSON.stringify(meshEndpoints),
        priority,
        draining,
      });
    refreshBundles(store, 'all', revision, now);
    const pick = (all: NodeChange) => Object.fromEntries(changed.map((field) => [field, all[field]]));
    audit(store, now, { actor, act: 'node.change', subject: name, detail: { ...pick(change), was: pick(before) } });
    return { ok: true, value: findNode(store, name) ?? node };
  });
}

/** Removes a node, unless the policy still names it. Its tokens stop working with the row. */
export function removeNode(store: Store, name: string, actor: string, now: Date): Result<undefined> {
  return store.write((): Result<undefined> => {
    const row = store.db
      .query<{ tunnel_address: number }, [string]>('SELECT tunnel_address FROM nodes WHERE name = ?')
      .get(name);
    if (row === null) return { ok: false, reason: 'not-found' };
    const lines = textOfLines(store, linesNaming(outlineInForce(store), name));
    if (lines.length > 0) return inUse(lines);
    const { revision } = raiseRevision(store, now);
    store.db.query('DELETE FROM nodes WHERE name = ?').run(name);
    restAddress(store, row.tunnel_address, revision);
    refreshBundles(store, 'all', revision, now);
    audit(store, now, { actor, act: 'node.remove', subject: name });
    return { ok: true, value: undefined };
  });
}

/** Keeps what an agent says of itself, and writes down what it repaired. No node needs to see it: the revision stays. */
export function recordReport(store: Store, name: string, report: AgentReport, now: Date): void {
  store.write(() => {
    store.db
      .query(
        `UPDATE nodes SET applied_epoch = $epoch, applied_revision = $revision, problem = $problem, vrrp = $vrrp,
           vip = $vip, healthy = $healthy, reasons = $reasons, seen_at = $now
         WHERE name = $name`,
      )
      .run({
        name,
        epoch: report.applied?.epoch ?? null,
        revision: report.applied?.revision ?? null,
        problem: report.problem ?? null,
        vrrp: report.vrrp ?? null,
        vip: report.vip ?? null,
        healthy: report.health?.healthy ?? null,
        reasons: JSON.stringify(report.health?.reasons ?? []),
        now: now.toISOString(),
      });
    if (report.drift.length === 0) return;
    const windowStart = new Date(now.getTime() - driftWindowMilliseconds);
    const written = auditedSince(store, 'node.drift', name, windowStart);
    for (const detail of driftToNote(report.drift, written, now))
      audit(store, now, { actor: `node ${name}`, act: 'node.drift', subject: name, detail });
  });
}

/** Who has a revision of this epoch in force. A node that claims one from the future has another master's. */
export function whoApplied(store: Store, revision: number): { appliedBy: string[]; pending: string[] } {
  const current = currentVersion(store);
  const nodes = allNodes(store);
  const has = ({ applied }: StoredNode) =>
    applied !== null &&
    applied.epoch === current.epoch &&
    applied.revision >= revision &&
    applied.revision <= current.revision;
  return {
    appliedBy: nodes.filter(has).map((node) => node.name),
    pending: nodes.filter((node) => !has(node)).map((node) => node.name),
  };
}
