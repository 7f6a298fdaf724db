import { type AddressRange, poolPlan } from '../decisions/addresses.ts';
import type { Store } from './open.ts';
import { currentVersion, readPool } from './settings.ts';

/** Steps of a search after which the next one begins where this one ended. */
const longSearch = 16;

/** The lowest address for a device that nobody has or had until lately; undefined when the pool is exhausted. */
export function freeDeviceAddress(store: Store): number | undefined {
  letRestedGo(store);
  const { first, last } = poolPlan(readPool(store)).devices;
  const from = Math.max(first, readSearch(store));
  const found = lowestFree(store, { first: from, last });
  if (found !== undefined && found - from > longSearch)
    store.db.query('UPDATE address_search SET first = ? WHERE id = 1').run(found);
  return found;
}

export function freeNodeAddress(store: Store): number | undefined {
  letRestedGo(store);
  return lowestFree(store, poolPlan(readPool(store)).nodes);
}

function lowestFree({ db }: Store, { first, last }: AddressRange): number | undefined {
  if (first > last) return undefined;
  const row = db
    .query<{ address: number }, { first: number; last: number }>(
      `WITH RECURSIVE walk (address) AS (
         SELECT $first
         UNION ALL
         SELECT address + 1 FROM walk WHERE address <= $last AND (
           EXISTS (SELECT 1 FROM devices WHERE devices.address = walk.address)
           OR EXISTS (SELECT 1 FROM nodes WHERE nodes.tunnel_address = walk.address)
           OR EXISTS (SELECT 1 FROM fronts WHERE fronts.address = walk.address)
           OR EXISTS (SELECT 1 FROM resting_addresses AS resting WHERE resting.address = walk.address)
         )
       )
       SELECT max(address) AS address FROM walk`,
    )
    .get({ first, last });
  return row === null || row.address > last ? undefined : row.address;
}

function readSearch({ db }: Store): number {
  return db.query<{ first: number }, []>('SELECT first FROM address_search WHERE id = 1').get()?.first ?? 0;
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
export function letRestedGo(store: Store): void {
  store.db
    .query(
      `DELETE FROM resting_addresses AS resting WHERE NOT EXISTS (
         SELECT 1 FROM nodes WHERE nodes.added_revision < resting.revision
         AND NOT (nodes.applied_epoch IS $epoch AND nodes.applied_revision BETWEEN resting.revision AND $revision)
       )`,
    )
    .run(currentVersion(store));
}
