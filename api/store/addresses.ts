import type { Store } from './open.ts';
import { currentVersion } from './settings.ts';

/** Every address that must not be given out now, in order. Those that have rested long enough are let go first. */
export function takenAddresses(store: Store): number[] {
  letRestedGo(store);
  return store.db
    .query<{ address: number }, []>(
      `SELECT address FROM devices UNION SELECT tunnel_address FROM nodes UNION SELECT address FROM resting_addresses
       ORDER BY 1`,
    )
    .all()
    .map((row) => row.address);
}

/**
 * Keeps an address from being given out until every node has applied the revision that took it away: a node behind
 * the others would let the next owner have the former one's access.
 */
export function restAddress({ db }: Store, address: number, revision: number): void {
  db.query(
    `INSERT INTO resting_addresses (address, revision) VALUES (?, ?)
     ON CONFLICT (address) DO UPDATE SET revision = excluded.revision`,
  ).run(address, revision);
}

/** A node that was added after the removal never knew the former owner. */
function letRestedGo(store: Store): void {
  store.db
    .query(
      `DELETE FROM resting_addresses AS resting WHERE NOT EXISTS (
         SELECT 1 FROM nodes WHERE nodes.added_revision < resting.revision
         AND NOT (nodes.applied_epoch IS $epoch AND nodes.applied_revision BETWEEN resting.revision AND $revision)
       )`,
    )
    .run(currentVersion(store));
}
