import type { Device } from '#contract/admin.ts';
import type { Platform } from '#contract/enrolment.ts';
import { numberToIpv4 } from '#contract/network.ts';
import type { Result } from '../decisions/result.ts';
import { restAddress } from './addresses.ts';
import { audit } from './audit.ts';
import { refreshBundles } from './bundles.ts';
import type { Store } from './open.ts';
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
  public_key: string;
  credential_key: string;
  address: number;
  bundle_revision: number;
  registered_at: string;
};

const registered = `
  SELECT devices.id, devices.user_id, users.email, users.disabled, devices.name, devices.platform, devices.public_key,
    devices.credential_key, devices.address, devices.bundle_revision, devices.registered_at
  FROM devices JOIN users ON users.id = devices.user_id
  WHERE devices.registered_at IS NOT NULL`;

const toDevice = (row: Row): StoredDevice => ({
  id: row.id,
  userId: row.user_id,
  email: row.email,
  userDisabled: row.disabled === 1,
  name: row.name,
  platform: row.platform,
  publicKey: row.public_key,
  credentialKey: row.credential_key,
  address: numberToIpv4(row.address),
  bundleRevision: row.bundle_revision,
  createdAt: row.registered_at,
});

export function allDevices({ db }: Store): StoredDevice[] {
  return db.query<Row, []>(`${registered} ORDER BY devices.id`).all().map(toDevice);
}

export function findDevice({ db }: Store, id: string): StoredDevice | undefined {
  const row = db.query<Row, [string]>(`${registered} AND devices.id = ?`).get(id);
  return row === null ? undefined : toDevice(row);
}

export function renameDevice(store: Store, id: string, name: string, actor: string, now: Date): Result<StoredDevice> {
  return store.write((): Result<StoredDevice> => {
    const device = findDevice(store, id);
    if (device === undefined) return { ok: false, reason: 'not-found' };
    if (device.name === name) return { ok: true, value: device };
    const { revision } = raiseRevision(store, now);
    store.db.query('UPDATE devices SET name = ? WHERE id = ?').run(name, id);
    refreshBundles(store, { deviceId: id }, revision, now);
    audit(store, now, { actor, act: 'device.rename', subject: id, detail: { from: device.name, to: name } });
    return { ok: true, value: findDevice(store, id) ?? device };
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
