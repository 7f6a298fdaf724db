import { numberToIpv4 } from '#contract/network.ts';
import type { RosterDevice, RosterUser } from '#contract/roster.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { poolPlan } from '../decisions/addresses.ts';
import { allFronts } from './fronts.ts';
import { rosterNodes } from './nodes.ts';
import type { Store } from './open.ts';
import { policyInForce } from './policies.ts';
import { readSettings } from './settings.ts';

type DeviceRow = {
  id: string;
  user_id: string;
  name: string;
  public_key: string;
  address: number;
  bundle_revision: number;
};

/** All that a node may know: enabled users and their registered devices, the nodes and the policy. */
export function readSnapshot(store: Store): Snapshot {
  const { epoch, revision, revisedAt, pool, api, mesh, advertMilliseconds, domain, upstreams } = readSettings(store);
  const { revision: policyRevision, document } = policyInForce(store);
  const nodes = rosterNodes(store);
  const users = store.db
    .query<RosterUser, []>('SELECT id, email, role FROM users WHERE disabled = 0 ORDER BY id')
    .all();
  const devices = store.db
    .query<DeviceRow, []>(
      `SELECT id, user_id, name, public_key, address, bundle_revision FROM devices
       WHERE listed_revision IS NOT NULL ORDER BY id`,
    )
    .all()
    .map(
      (row): RosterDevice => ({
        id: row.id,
        userId: row.user_id,
        name: row.name,
        publicKey: row.public_key,
        address: numberToIpv4(row.address),
        bundleRevision: row.bundle_revision,
      }),
    );
  return {
    epoch,
    revision,
    issuedAt: revisedAt,
    pool,
    users,
    devices,
    nodes,
    policy: { revision: policyRevision, document },
    fronts: allFronts(store),
    ...(mesh === null
      ? {}
      : {
          vip: poolPlan(pool).vip,
          mesh: { cidr: mesh, advertMilliseconds },
          dns: { domain, upstreams },
        }),
    // A master may be told of a node before that is one.
    ...(api !== null && nodes.some(({ name }) => name === api.node) ? { api } : {}),
  };
}
