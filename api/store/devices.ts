import { type Device, type DeviceChange, longestMachineDays } from '#contract/admin.ts';
import type { Platform } from '#contract/enrolment.ts';
import type { DeviceList } from '#contract/lists.ts';
import { numberToIpv4 } from '#contract/network.ts';
import type { Result } from '../decisions/result.ts';
import { restAddress } from './addresses.ts';
import { audit } from './audit.ts';
import { refreshBundles } from './bundles.ts';
import { type Asked, type Condition, equal, type Page, readPage } from './listing.ts';
import { planned, type Store } from './open.ts';
import { raiseRevision } from './settings.ts';

/** A registered device, without what nodes observe of it. */
export type StoredDevice = Omit<Device, 'latestHandshake' | 'receivedBytes' | 'sentBytes'> & {
  credentialKey: string;
  userDisabled: boolean;
};

type Row = {
  id: string;
  user_id: string;
  email: string;
  disabled: number;
  name: string;
  platform: Platform;
  machine_seconds: number | null;
  expires_at: string | null;
  public_key: string;
  credential_key: string;
  address: number;
  bundle_revision: number;
  registered_at: string;
};

const columns = `devices.id, devices.user_id, users.email, users.disabled, devices.name, devices.platform,
    devices.machine_seconds, devices.expires_at, devices.public_key, devices.credential_key, devices.address,
    devices.bundle_revision, devices.registered_at`;

const registered = `
  SELECT ${columns} FROM devices JOIN users ON users.id = devices.user_id WHERE devices.registered_at IS NOT NULL`;

const toDevice = (row: Row): StoredDevice => ({
  id: row.id,
  userId: row.user_id,
  email: row.email,
  userDisabled: row.disabled === 1,
  name: row.name,
  platform: row.platform,
  kind: row.machine_seconds === null ? 'managed' : 'machine',
  expiresAt: row.expires_at,
  publicKey: row.public_key,
  credentialKey: row.credential_key,
  address: numberToIpv4(row.address),
  bundleRevision: row.bundle_revision,
  createdAt: row.registered_at,
});

export type DeviceSort = NonNullable<DeviceList['sort']>;
export type DeviceFilters = Pick<DeviceList, 'userId' | 'email' | 'platform' | 'kind' | 'q'> & {
  /** Only devices with, or without, one of these WireGuard keys. */
  keys?: { among: readonly string[]; are: boolean };
};

export function pageOfDevices(store: Store, filters: DeviceFilters, asked: Asked<DeviceSort>): Page<StoredDevice> {
  const { userId, email, platform, kind, keys, q } = filters;
  const listing = {
    columns,
    table: 'devices',
    // CROSS JOIN keeps SQLite to this order: that of the index which the list follows.
    from: `${asked.sort.endsWith('email') ? 'users CROSS JOIN devices' : 'devices CROSS JOIN users'}
      ON users.id = devices.user_id`,
    where: [
      { sql: 'devices.registered_at IS NOT NULL' },
      equal('devices.user_id', 'userId', userId),
      email === undefined
        ? undefined
        : { sql: 'devices.user_id = (SELECT id FROM users WHERE email = $email)', with: { email } },
      equal('devices.platform', 'platform', platform),
      kind === undefined ? undefined : { sql: `devices.machine_seconds IS ${kind === 'machine' ? 'NOT ' : ''}NULL` },
      hasKey(keys),
      like(q),
    ],
    orders: {
      createdAt: 'devices.registered_at',
      name: 'devices.name',
      email: 'users.email',
      address: 'devices.address',
    },
    id: 'devices.id',
  };
  const page = readPage<Row>(store, listing, asked);
  return { ...page, rows: page.rows.map(toDevice) };
}

/** The condition that name, e-mail address or tunnel address hold a text, in any case of its letters a to z. */
function like(q: string | undefined): Condition {
  if (q === undefined) return undefined;
  const texts = [
    'instr(lower(devices.name), lower($q)) > 0',
    'devices.user_id IN (SELECT id FROM users WHERE instr(email, lower($q)) > 0)',
    // Nothing else is part of an address, and writing out ten thousand takes its time.
    ...(/^[\d.]+$/.test(q) ? [`instr(${addressText}, $q) > 0`] : []),
  ];
  return { sql: texts.join(' OR '), with: { q } };
}

const addressText = `(devices.address >> 24) || '.' || (devices.address >> 16 & 255) || '.' ||
  (devices.address >> 8 & 255) || '.' || (devices.address & 255)`;

function hasKey(keys: DeviceFilters['keys']): Condition {
  if (keys === undefined) return undefined;
  const sql = `devices.public_key ${keys.are ? '' : 'NOT '}IN (SELECT value FROM json_each($keys))`;
  return { sql, with: { keys: JSON.stringify(keys.among) } };
}

export function findDevice({ db }: Store, id: string): StoredDevice | undefined {
  const row = db.query<Row, [string]>(`${registered} AND devices.id = ${planned}`).get(id);
  return row === null ? undefined : toDevice(row);
}

/** Renames a device, or moves the end of a machine; a change to what is there already is no change. */
export function changeDevice(
  store: Store,
  id: string,
  change: DeviceChange,
  actor: string,
  now: Date,
): Result<StoredDevice> {
  return store.write((): Result<StoredDevice> => {
    const device = findDevice(store, id);
    if (device === undefined) return { ok: false, reason: 'not-found' };
    const { name = device.name, expiresAt = device.expiresAt } = change;
    if (expiresAt !== device.expiresAt) {
      const message = endProblem(device, expiresAt, now);
      if (message !== undefined)
        return { ok: false, reason: 'invalid-input', errors: [{ path: 'expiresAt', message }] };
      store.db.query('UPDATE devices SET expires_at = ? WHERE id = ?').run(expiresAt, id);
      audit(store, now, { actor, act: 'device.renew', subject: id, detail: { from: device.expiresAt, to: expiresAt } });
    }
    if (name !== device.name) {
      const { revision } = raiseRevision(store, now);
      store.db.query('UPDATE devices SET name = ? WHERE id = ?').run(name, id);
      refreshBundles(store, { deviceId: id }, revision, now);
      audit(store, now, { actor, act: 'device.rename', subject: id, detail: { from: device.name, to: name } });
    }
    return { ok: true, value: findDevice(store, id) ?? device };
  });
}

function endProblem({ kind }: StoredDevice, expiresAt: string | null, now: Date): string | undefined {
  if (kind !== 'machine') return "is for machines: a person's device has no end of its own";
  if (expiresAt === null || expiresAt <= now.toISOString())
    return 'must be in the future; revoke the device to end it now';
  const latest = new Date(now.getTime() + longestMachineDays * 86_400_000).toISOString();
  return expiresAt > latest ? `must be within ${longestMachineDays} days` : undefined;
}

/** Removes every machine whose time is over, in one transaction. @returns their ids. */
export function expireDevices(store: Store, now: Date): string[] {
  const over = () =>
    store.db
      .query<{ id: string }, [string]>(
        'SELECT id FROM devices WHERE expires_at IS NOT NULL AND expires_at <= ? ORDER BY expires_at, id',
      )
      .all(now.toISOString())
      .map(({ id }) => id);
  if (over().length === 0) return [];
  return store.write(() => {
    const ids = over();
    const { revision } = raiseRevision(store, now);
    for (const id of ids) {
      const device = findDevice(store, id);
      removeDevice(store, id, revision);
      audit(store, now, {
        actor: 'master',
        act: 'device.expire',
        subject: id,
        detail: { name: device?.name, email: device?.email, address: device?.address, expiresAt: device?.expiresAt },
      });
    }
    return ids;
  });
}

/** Takes a device's access away. Its code stays spent, so that it does not come back by itself. */
export function revokeDevice(
  store: Store,
  id: string,
  actor: string,
  act: 'device.revoke' | 'device.leave',
  now: Date,
): Result<{ revision: number }> {
  return store.write((): Result<{ revision: number }> => {
    const device = findDevice(store, id);
    if (device === undefined) return { ok: false, reason: 'not-found' };
    const { revision } = raiseRevision(store, now);
    removeDevice(store, id, revision);
    audit(store, now, {
      actor,
      act,
      subject: id,
      detail: { name: device.name, email: device.email, address: device.address },
    });
    return { ok: true, value: { revision } };
  });
}

/** Part of a larger change: drops the row, and lets the address rest when a node may know it. */
export function removeDevice(store: Store, id: string, revision: number): void {
  const row = store.db
    .query<{ address: number; registered_at: string | null }, [string]>(
      'DELETE FROM devices WHERE id = ? RETURNING address, registered_at',
    )
    .get(id);
  if (row !== null && row.registered_at !== null) restAddress(store, row.address, revision);
}
