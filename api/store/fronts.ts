import { ipv4ToNumber, numberToIpv4 } from '#contract/network.ts';
import type { Front } from '#contract/policy.ts';
import { poolPlan } from '../decisions/addresses.ts';
import { letRestedGo, restAddress } from './addresses.ts';
import type { Store } from './open.ts';
import { readPool } from './settings.ts';

/** The addresses inside the tunnel that fronted services answer at. A service keeps its own as long as it has a front. */

export function allFronts({ db }: Store): Front[] {
  return db
    .query<{ service: string; address: number }, []>('SELECT service, address FROM fronts ORDER BY service')
    .all()
    .map(({ service, address }) => ({ service, address: numberToIpv4(address) }));
}

/**
 * The fronts of these services: those that are there with the addresses they have, new ones with free addresses.
 * Undefined when the pool is exhausted. Devices get addresses from below, fronts from above.
 */
export function frontsFor(store: Store, services: readonly string[]): Front[] | undefined {
  const present = new Map(allFronts(store).map((front) => [front.service, front]));
  const fresh = services.filter((service) => !present.has(service));
  const free = fresh.length === 0 ? [] : highestFree(store, fresh.length);
  if (free === undefined) return undefined;
  const added = new Map(fresh.map((service, i) => [service, free[i] ?? '']));
  return services.map((service) => present.get(service) ?? { service, address: added.get(service) ?? '' });
}

/** Makes these the fronts. Part of a larger change: an address that is given up rests until every node knows. */
export function setFronts(store: Store, fronts: readonly Front[], revision: number): void {
  const wanted = new Map(fronts.map(({ service, address }) => [service, address]));
  const present = allFronts(store);
  const known = new Set(present.map(({ service }) => service));
  const remove = store.db.query('DELETE FROM fronts WHERE service = ?');
  for (const { service, address } of present) {
    if (wanted.get(service) === address) continue;
    remove.run(service);
    known.delete(service);
    restAddress(store, ipv4ToNumber(address), revision);
  }
  const insert = store.db.query('INSERT INTO fronts (service, address) VALUES ($service, $address)');
  for (const { service, address } of fronts)
    if (!known.has(service)) insert.run({ service, address: ipv4ToNumber(address) });
}

/** Whether an address that was found free still is. */
export function isFreeForFront({ db }: Store, address: string): boolean {
  const row = db
    .query(
      `SELECT 1 FROM devices WHERE address = $address UNION ALL SELECT 1 FROM nodes WHERE tunnel_address = $address
       UNION ALL SELECT 1 FROM fronts WHERE address = $address
       UNION ALL SELECT 1 FROM resting_addresses WHERE address = $address`,
    )
    .get({ address: ipv4ToNumber(address) });
  return row === null;
}

function highestFree(store: Store, count: number): string[] | undefined {
  store.write(() => letRestedGo(store));
  const { first, last } = poolPlan(readPool(store)).devices;
  const taken = store.db
    .query<{ address: number }, [number, number]>(
      `SELECT address FROM (
         SELECT address FROM devices UNION ALL SELECT address FROM fronts UNION ALL SELECT address FROM resting_addresses
       ) WHERE address BETWEEN ? AND ? ORDER BY address DESC`,
    )
    .values(first, last)
    .map(([address]) => Number(address));
  const free: string[] = [];
  let next = 0;
  for (let address = last; address >= first && free.length < count; address--) {
    while ((taken[next] ?? -1) > address) next += 1;
    if (taken[next] !== address) free.push(numberToIpv4(address));
  }
  return free.length === count ? free : undefined;
}
