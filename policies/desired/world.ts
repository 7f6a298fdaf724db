import type { Snapshot } from '#contract/snapshot.ts';
import { type Checked, checkSource } from '#policies/language/check.ts';
import type { Document } from '#policies/language/statement.ts';
import { resolve, type World } from '#policies/meaning/world.ts';

/**
 * The document of a snapshot, read once more where it is to be used: an agent believes no master that it can be read.
 * Which ports are the nodes' own only the master knows, and it has looked.
 */
export function readPolicy({ policy }: Pick<Snapshot, 'policy'>): Checked {
  return checkSource(policy.document, { ownPorts: [] });
}

/** A snapshot's document and roster, put together. */
export function worldOf(
  document: Document,
  { pool, users, devices, nodes, fronts, vip, mesh, api }: Omit<Snapshot, 'epoch' | 'revision' | 'issuedAt' | 'policy'>,
): World {
  return resolve(document, {
    pool,
    users,
    devices,
    nodes,
    fronts,
    ...(vip === undefined ? {} : { vip }),
    ...(mesh === undefined ? {} : { mesh }),
    ...(api === undefined ? {} : { api }),
  });
}
