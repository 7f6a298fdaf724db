import { randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, importJWK, SignJWT } from 'jose';
import { signedTypes } from '#contract/trust.ts';
import { requireAbilities } from './connect.ts';
import { ClientFailure } from './failure.ts';
import type { Doing } from './join.ts';
import type { CredentialKey } from './keys.ts';
import { openMaster } from './master.ts';
import { type Joined, loadJoined } from './membership.ts';
import { down } from './up-down.ts';

const assertionSeconds = 60;

export type LeaveReport = { wasJoined: boolean; masterTold: boolean };

/**
 * Tells the master that this device is gone, then removes everything of it here, keys included. With `force` what is
 * here goes even if the master cannot be told.
 *
 * @throws ClientFailure unreachable, refused: nothing was removed.
 */
export async function leave(doing: Doing, force: boolean): Promise<LeaveReport> {
  const { platform, files, progress } = doing;
  await requireAbilities(platform);
  const joined = await loadJoined(files).catch((error) => {
    if (force) return undefined;
    throw error;
  });
  let masterTold = false;
  if (joined !== undefined) {
    try {
      await progress.step('Telling the master', () => tellMaster(joined, doing.now()));
      masterTold = true;
    } catch (error) {
      if (!force) throw notTold(error);
    }
  }
  await down(doing);
  await progress.step('Removing keys and state', () => files.removeAll());
  return { wasJoined: joined !== undefined, masterTold };
}

async function tellMaster({ membership, keys }: Joined, now: number): Promise<void> {
  const master = await openMaster(new URL(membership.master), membership.root);
  try {
    const token = await master.deviceToken(await signAssertion(keys.credential, membership.deviceId, now));
    await master.removeDevice(token);
  } catch (error) {
    // The master answers so to a device that it does not know, or no longer: then there is nothing to take back.
    if (error instanceof ClientFailure && error.code === 'not-found') return;
    throw error;
  } finally {
    master.close();
  }
}

/** A signed word of this device, good for one token within a minute. */
export async function signAssertion(key: CredentialKey, deviceId: string, now: number): Promise<string> {
  const issuedAt = Math.floor(now / 1000);
  return new SignJWT({})
    .setProtectedHeader({ alg: 'EdDSA', typ: signedTypes.deviceAssertion, kid: await calculateJwkThumbprint(key) })
    .setIssuer(deviceId)
    .setAudience('postern-master')
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + assertionSeconds)
    .setJti(randomUUID())
    .sign(await importJWK(key, 'EdDSA'));
}

function notTold(error: unknown): unknown {
  if (!(error instanceof ClientFailure)) return error;
  const next = `${error.next}\nOr remove it here only, with \`postern-client leave --force\`; then ask your admin to revoke the device.`;
  return new ClientFailure(error.kind, error.code, `Nothing was removed. ${error.message}`, next, error);
}
