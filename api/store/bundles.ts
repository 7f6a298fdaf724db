import type { BundleContent } from '#contract/bundle.ts';
import { numberToIpv4 } from '#contract/network.ts';
import { bundleContents } from '#policies/desired/bundle.ts';
import { nextEnd } from '#policies/desired/outline.ts';
import { allFronts } from './fronts.ts';
import { rosterNodes } from './nodes.ts';
import { planned, type Store } from './open.ts';
import { outlineInForce, policyInForce } from './policies.ts';
import { readPool } from './settings.ts';

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

type DeviceRow = {
  id: string;
  name: string;
  public_key: string;
  address: number;
  email: string;
  role: string;
  bundle_content: string;
};

const deviceRows = `
  SELECT devices.id, devices.name, devices.public_key, devices.address, users.email, users.role, devices.bundle_content
  FROM devices JOIN users ON users.id = devices.user_id`;

/** What a device of this user would be told now. */
export function contentFor(
  store: Store,
  device: { name: string; publicKey: string; address: number },
  user: { email: string; role: string },
  now: Date,
): BundleContent {
  return contentsNow(store, now)({ ...device, address: numberToIpv4(device.address) }, user);
}

/** Gives every bundle in `scope` whose content is not what it was the revision that changed it. @returns how many */
export function refreshBundles(store: Store, scope: BundleScope, revision: number, now: Date): number {
  const contentOf = contentsNow(store, now);
  let changed = 0;
  for (const row of devicesIn(store, scope)) {
    const device = { name: row.name, publicKey: row.public_key, address: numberToIpv4(row.address) };
    const content = JSON.stringify(contentOf(device, row));
    if (content === row.bundle_content) continue;
    changed += 1;
    writeBundle(store, row.id, content, revision, now);
  }
  return changed;
}

/** Part of a larger change: the content as it was found to be. */
export function writeBundle({ db }: Store, deviceId: string, content: string, revision: number, now: Date): void {
  db.query(
    `UPDATE devices SET bundle_content = $content, bundle_revision = $revision, bundle_issued_at = $now
     WHERE id = $id AND bundle_content <> $content`,
  ).run({ id: deviceId, content, revision, now: now.toISOString() });
}

type Contents = ReturnType<typeof bundleContents>;
type Memory = { mark: string; around: string; from: number; until: number; contents: Contents };

/** Holds until the policy or a node changes, or a grant ends: enough that an enrolment does not begin from nothing. */
const remembered = new WeakMap<Store, Memory>();

function contentsNow(store: Store, now: Date): Contents {
  const { mark } = policyInForce(store);
  const pool = readPool(store);
  const nodes = rosterNodes(store);
  const around = JSON.stringify([pool, nodes]);
  const at = now.getTime();
  const known = remembered.get(store);
  if (known?.mark === mark && known.around === around && known.from <= at && at < known.until) return known.contents;
  const outline = outlineInForce(store);
  const contents = bundleContents(outline, { pool, nodes, fronts: allFronts(store) }, at);
  remembered.set(store, { mark, around, from: at, until: nextEnd(outline, at) ?? Infinity, contents });
  return contents;
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

type BundleRow = {
  id: string;
  public_key: string;
  bundle_revision: number;
  bundle_issued_at: string;
  bundle_content: string;
};

const bundleColumns = 'id, public_key, bundle_revision, bundle_issued_at, bundle_content';

const toBundle = (row: BundleRow): DatedBundle => ({
  deviceId: row.id,
  publicKey: row.public_key,
  revision: row.bundle_revision,
  issuedAt: row.bundle_issued_at,
  content: JSON.parse(row.bundle_content),
});

export function bundleOf({ db }: Store, deviceId: string): DatedBundle | undefined {
  const row = db.query<BundleRow, [string]>(`SELECT ${bundleColumns} FROM devices WHERE id = ?`).get(deviceId);
  return row === null ? undefined : toBundle(row);
}

/**
 * The bundles that a node cannot have when all it knows is the snapshot of revision `after`: those that changed since,
 * and those of devices that entered the snapshot since.
 */
export function bundlesSince({ db }: Store, after: number): DatedBundle[] {
  return db
    .query<BundleRow, [number]>(
      `SELECT ${bundleColumns} FROM devices
       WHERE listed_revision IS NOT NULL AND max(listed_revision, bundle_revision) > ? ORDER BY id`,
    )
    .all(after)
    .map(toBundle);
}
