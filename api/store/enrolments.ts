import type { EnrolmentConfirmation, EnrolmentRequest } from '#contract/enrolment.ts';
import { numberToIpv4 } from '#contract/network.ts';
import { type CodeFacts, confirm, leaseEnd, redeem } from '../decisions/codes.ts';
import type { Result } from '../decisions/result.ts';
import { freeDeviceAddress } from './addresses.ts';
import { audit, countAudited } from './audit.ts';
import { bundleDigest, refreshBundles } from './bundles.ts';
import { findCode, type StoredCode } from './codes.ts';
import type { Store } from './open.ts';
import { currentVersion, raiseRevision } from './settings.ts';
import { findUser } from './users.ts';

/** An address that is kept for one device until it confirms, or the device that has. Its id is the device's. */
export type Enrolment = {
  id: string;
  codeId: string;
  address: string;
  leasedAt: string;
  leasedUntil: string;
  codeExpiresAt: string;
};

/** One row for each attempt would let whoever holds a code fill the disk; the first few say it all. */
const alertsPerCode = 10;

/**
 * Binds a code to a device's keys and reserves its address: the reading, the decision and the writing are one
 * transaction, so of many who redeem a code at once exactly one does.
 */
export function reserve(
  store: Store,
  codeId: string,
  request: Omit<EnrolmentRequest, 'code'>,
  now: Date,
): Result<Enrolment> {
  return store.write((): Result<Enrolment> => {
    store.db.query('DELETE FROM devices WHERE registered_at IS NULL AND leased_until <= ?').run(now.toISOString());
    const code = findCode(store, codeId);
    if (code === undefined) return { ok: false, reason: 'code-unknown' };
    const redemption = redeem(code, request, now);
    if (redemption.kind === 'refuse') {
      if (redemption.alert) alertSecondKey(store, code, request.publicKey, now);
      return { ok: false, reason: redemption.reason, detail: redemption.detail };
    }
    if (redemption.kind === 'repeat') return enrolmentOf(store, code);
    return lease(store, code, request, now);
  });
}

function lease(store: Store, code: StoredCode, request: Omit<EnrolmentRequest, 'code'>, now: Date): Result<Enrolment> {
  const { db } = store;
  const user = code.userId === null ? undefined : findUser(store, code.userId);
  if (user === undefined) return { ok: false, reason: 'code-unknown' };
  const keyTaken = db
    .query(
      `SELECT 1 FROM nodes WHERE public_key = $publicKey OR agent_key = $credentialKey
       UNION ALL SELECT 1 FROM devices WHERE public_key = $publicKey OR credential_key = $credentialKey`,
    )
    .get({ publicKey: request.publicKey, credentialKey: request.credentialKey });
  if (keyTaken !== null)
    return {
      ok: false,
      reason: 'key-taken',
      detail: 'Make a new key pair; leave with the old device first if it is yours.',
    };
  const address = freeDeviceAddress(store);
  if (address === undefined)
    return {
      ok: false,
      reason: 'pool-exhausted',
      detail: 'Your admin must revoke unused devices or enlarge the pool.',
    };

  const row = {
    id: Bun.randomUUIDv7(),
    userId: user.id,
    codeId: code.id,
    name: request.deviceName,
    platform: request.platform,
    publicKey: request.publicKey,
    credentialKey: request.credentialKey,
    address,
    now: now.toISOString(),
    leasedUntil: leaseEnd(code.expiresAt, now),
    machineSeconds: code.device?.expiresIn ?? null,
    revision: currentVersion(store).revision,
    digest: bundleDigest(store, {
      name: request.deviceName,
      publicKey: request.publicKey,
      address: numberToIpv4(address),
      email: user.email,
      role: user.role,
    }),
  };
  db.query(
    `INSERT INTO devices (id, user_id, code_id, name, platform, machine_seconds, public_key, credential_key, address,
       leased_at, leased_until, bundle_revision, bundle_issued_at, bundle_digest)
     VALUES ($id, $userId, $codeId, $name, $platform, $machineSeconds, $publicKey, $credentialKey, $address,
       $now, $leasedUntil, $revision, $now, $digest)`,
  ).run(row);
  return {
    ok: true,
    value: {
      id: row.id,
      codeId: code.id,
      address: numberToIpv4(address),
      leasedAt: row.now,
      leasedUntil: row.leasedUntil,
      codeExpiresAt: code.expiresAt,
    },
  };
}

/** Turns a reservation into a device, once; asked again by the same device it answers the same revision. */
export function register(
  store: Store,
  enrolment: { id: string; codeId: string },
  claimed: EnrolmentConfirmation,
  now: Date,
): Result<{ revision: number }> {
  return store.write((): Result<{ revision: number }> => {
    const code = findCode(store, enrolment.codeId);
    if (code === undefined) return { ok: false, reason: 'code-unknown' };
    const mine = code.holder?.deviceId === enrolment.id;
    const facts: CodeFacts = mine ? code : { ...code, holder: null };
    const decision = confirm(facts, mine ? reservedOf(store, enrolment.id) : undefined, claimed, now);
    if (decision.kind === 'refuse') {
      if (decision.alert) alertSecondKey(store, code, claimed.publicKey, now);
      return { ok: false, reason: decision.reason, detail: decision.detail };
    }
    if (decision.kind === 'repeat') return { ok: true, value: { revision: listedRevision(store, enrolment.id) } };

    const { revision } = raiseRevision(store, now);
    const seconds = code.device?.expiresIn;
    const expiresAt = seconds === undefined ? null : new Date(now.getTime() + seconds * 1000).toISOString();
    store.db
      .query(
        `UPDATE devices SET registered_at = $now, listed_revision = $revision, expires_at = $expiresAt WHERE id = $id`,
      )
      .run({ id: enrolment.id, now: now.toISOString(), revision, expiresAt });
    store.db.query('UPDATE codes SET spent_at = ? WHERE id = ?').run(now.toISOString(), code.id);
    refreshBundles(store, { deviceId: enrolment.id }, revision, now);
    audit(store, now, {
      actor: `device ${enrolment.id}`,
      act: 'device.enrol',
      subject: enrolment.id,
      detail: {
        codeId: code.id,
        userId: code.userId,
        publicKey: claimed.publicKey,
        address: claimed.address,
        expiresAt,
      },
    });
    return { ok: true, value: { revision } };
  });
}

type ReservedRow = { address: number; public_key: string; leased_at: string; leased_until: string; listed: number };

function readReserved({ db }: Store, id: string): ReservedRow | null {
  return db
    .query<ReservedRow, [string]>(
      `SELECT address, public_key, leased_at, leased_until, coalesce(listed_revision, 0) AS listed
       FROM devices WHERE id = ?`,
    )
    .get(id);
}

function reservedOf(store: Store, id: string): { publicKey: string; address: string } | undefined {
  const row = readReserved(store, id);
  return row === null ? undefined : { publicKey: row.public_key, address: numberToIpv4(row.address) };
}

function listedRevision(store: Store, id: string): number {
  return readReserved(store, id)?.listed ?? 0;
}

function enrolmentOf(store: Store, code: StoredCode): Result<Enrolment> {
  const id = code.holder?.deviceId;
  const row = id === undefined ? null : readReserved(store, id);
  if (id === undefined || row === null) return { ok: false, reason: 'code-used' };
  return {
    ok: true,
    value: {
      id,
      codeId: code.id,
      address: numberToIpv4(row.address),
      leasedAt: row.leased_at,
      leasedUntil: row.leased_until,
      codeExpiresAt: code.expiresAt,
    },
  };
}

function alertSecondKey(store: Store, code: StoredCode, publicKey: string, now: Date): void {
  if (countAudited(store, 'code.second-key', code.id) >= alertsPerCode) return;
  audit(store, now, {
    actor: 'enrolment',
    act: 'code.second-key',
    subject: code.id,
    detail: { userId: code.userId, publicKey, holder: code.holder?.deviceId ?? null },
  });
}
