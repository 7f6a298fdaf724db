import type { BundleContent, BundleNetwork } from '#contract/bundle.ts';
import { numberToIpv4 } from '#contract/network.ts';
import { Bundles } from '#policies/desired/bundle.ts';
import { poolPlan } from '../decisions/addresses.ts';
import { sha256Hex } from '../formats/hash.ts';
import { allFronts } from './fronts.ts';
import { rosterNodes } from './nodes.ts';
import { planned, type Store } from './open.ts';
import { outlineInForce, policyInForce } from './policies.ts';
import { grantedAt, readSettings } from './settings.ts';

/** Whose bundles a change can touch. */
export type BundleScope = 'all' | { userId: string } | { deviceId: string };

/** A bundle that is due to be signed: its own revision and time, and what it says. */
export type DatedBundle = {
  deviceId: string;
  publicKey: string;
  revision: number;
  issuedAt: string;
  content: BundleContent;
};

/** A device as its bundle speaks of it, and its owner. */
type Described = { name: string; publicKey: string; address: string; email: string; role: string };

type DeviceRow = {
  id: string;
  name: string;
  public_key: string;
  address: number;
  email: string;
  role: string;
  bundle_revision: number;
  bundle_issued_at: string;
  bundle_digest: string;
};

const deviceRows = `
  SELECT devices.id, devices.name, devices.public_key, devices.address, users.email, users.role,
    devices.bundle_revision, devices.bundle_issued_at, devices.bundle_digest
  FROM devices JOIN users ON users.id = devices.user_id`;

const described = ({ name, public_key: publicKey, address, email, role }: DeviceRow): Described => ({
  ...{ name, publicKey, email, role },
  address: numberToIpv4(address),
});

/** Stands for what a device would be told now: another digest, another bundle. */
export function bundleDigest(store: Store, device: Described): string {
  return bundlesNow(store).digestOf(device);
}

/** Gives every bundle in `scope` that says something else than it did the revision that changed it. */
export function refreshBundles(store: Store, scope: BundleScope, revision: number, now: Date): void {
  const { digestOf } = bundlesNow(store);
  for (const row of devicesIn(store, scope)) {
    const digest = digestOf(described(row));
    if (digest !== row.bundle_digest) dateBundle(store, row.id, digest, revision, now);
  }
}

/** The same for these devices, whose bundles are known to change. */
export function renewBundles(
  store: Store,
  devices: readonly (Described & { id: string })[],
  revision: number,
  now: Date,
): void {
  const { digestOf } = bundlesNow(store);
  for (const device of devices) dateBundle(store, device.id, digestOf(device), revision, now);
}

function dateBundle({ db }: Store, id: string, digest: string, revision: number, now: Date): void {
  db.query(
    'UPDATE devices SET bundle_digest = $digest, bundle_revision = $revision, bundle_issued_at = $now WHERE id = $id',
  ).run({ id, digest, revision, now: now.toISOString() });
}

type BundlesNow = { readonly contents: Bundles; digestOf(device: Described): string };

/** Holds until the policy or a node changes, or a grant runs out, so that an enrolment does not begin from nothing. */
const remembered = new WeakMap<Store, BundlesNow & { key: string }>();

function bundlesNow(store: Store): BundlesNow {
  const around = aroundBundles(store);
  const at = grantedAt(store);
  const key = JSON.stringify([policyInForce(store).mark, at, around]);
  const last = remembered.get(store);
  if (last?.key === key) return last;

  const contents = new Bundles(outlineInForce(store), { ...around, fronts: allFronts(store) }, Date.parse(at));
  const aroundDigest = sha256Hex(JSON.stringify(around));
  const known = new WeakMap<object, string>();
  const sharedDigest = (networks: readonly BundleNetwork[]): string => {
    const digest = known.get(networks) ?? sha256Hex(JSON.stringify(networks));
    known.set(networks, digest);
    return digest;
  };
  const digestOf = (device: Described): string => {
    const { publicKey, name, address } = device;
    const { shared, own } = contents.networkPartsOf(device, device);
    return sha256Hex(JSON.stringify([publicKey, name, address, aroundDigest, sharedDigest(shared), own]));
  };
  const memory = { key, contents, digestOf };
  remembered.set(store, memory);
  return memory;
}

/** What all bundles tell alike. */
function aroundBundles(store: Store) {
  const { pool, mesh, domain, authority } = readSettings(store);
  return {
    pool,
    nodes: rosterNodes(store),
    ...(mesh === null ? {} : { vip: poolPlan(pool).vip, domain }),
    ...(authority === null ? {} : { authority }),
  };
}

function devicesIn({ db }: Store, scope: BundleScope): DeviceRow[] {
  if (scope === 'all') return db.query<DeviceRow, []>(deviceRows).all();
  if ('userId' in scope)
    return db.query<DeviceRow, [string]>(`${deviceRows} WHERE devices.user_id = ${planned}`).all(scope.userId);
  return db.query<DeviceRow, [string]>(`${deviceRows} WHERE devices.id = ${planned}`).all(scope.deviceId);
}

/** A user's registered devices enter the snapshot at `revision`, or leave it with null. */
export function listDevicesOfUser({ db }: Store, userId: string, revision: number | null): void {
  db.query('UPDATE devices SET listed_revision = $revision WHERE user_id = $userId AND registered_at IS NOT NULL').run({
    userId,
    revision,
  });
}

export function bundleOf(store: Store, deviceId: string): DatedBundle | undefined {
  return devicesIn(store, { deviceId }).map(bundleIn(store))[0];
}

/**
 * The bundles that a node cannot have when all it knows is the snapshot of revision `after`: those that changed since,
 * and those of devices that entered the snapshot since.
 */
export function bundlesSince(store: Store, after: number): DatedBundle[] {
  return store.db
    .query<DeviceRow, [number]>(
      `${deviceRows} WHERE listed_revision IS NOT NULL AND max(listed_revision, bundle_revision) > ? ORDER BY devices.id`,
    )
    .all(after)
    .map(bundleIn(store));
}

function bundleIn(store: Store): (row: DeviceRow) => DatedBundle {
  const { contents } = bundlesNow(store);
  return (row) => {
    const device = described(row);
    return {
      deviceId: row.id,
      publicKey: row.public_key,
      revision: row.bundle_revision,
      issuedAt: row.bundle_issued_at,
      content: contents.contentOf(device, device),
    };
  };
}
