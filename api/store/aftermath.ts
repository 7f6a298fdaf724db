import type { Aftermath, Life } from '#contract/life.ts';
import { ipv4ToNumber, numberToIpv4 } from '#contract/network.ts';
import type { RosterUser } from '#contract/roster.ts';
import { compareVersions, type Snapshot, type Version } from '#contract/snapshot.ts';
import { differencesSince, isMemory, type Roster } from '../decisions/witness.ts';
import { restAddress } from './addresses.ts';
import { audit } from './audit.ts';
import { revokeDevice } from './devices.ts';
import { currentLife } from './lives.ts';
import { removeNode } from './nodes.ts';
import type { Store } from './open.ts';
import { policyInForce } from './policies.ts';
import { currentVersion, raiseRevisionAbove } from './settings.ts';
import { changeUser } from './users.ts';

/** Whether a snapshot is from after the copy that this life began with, and later than all that was shown so far. */
export function isNews(store: Store, snapshot: Version): boolean {
  const life = currentLife(store);
  return (
    life !== undefined &&
    isMemory(snapshot, currentVersion(store), life.from) &&
    compareVersions(snapshot, life.witnessed) > 0
  );
}

/** Whether an admin changed the policy in this life. Every act that puts a document in force names its number. */
export function isPolicyTouched({ db }: Store): boolean {
  return (
    db
      .query(
        `SELECT 1 FROM audit WHERE json_extract(detail, '$.policy') IS NOT NULL AND act <> 'policy.take-over'
         AND id > (SELECT max(id) FROM audit WHERE act IN ('master.restore', 'master.promote'))`,
      )
      .get() !== null
  );
}

/**
 * Takes over from a snapshot what had been closed after the copy that this life began with, and writes down what is
 * lost. Only what nobody has touched since is changed: in this life an admin's word counts more than a memory.
 *
 * `hasPolicy` says that its document was put in force just before. @returns what was found; undefined when the snapshot tells nothing that is not known.
 */
export function takeOver(
  store: Store,
  snapshot: Snapshot,
  node: string,
  now: Date,
  hasPolicy = false,
): Aftermath | undefined {
  return store.write(() => {
    const life = currentLife(store);
    if (life === undefined || !isNews(store, snapshot)) return undefined;
    const actor = `node ${node}, which held ${snapshot.epoch}-${snapshot.revision}`;
    const found = differencesSince(rosterOfCopy(store, life.from.revision), snapshot);
    const emails = emailsOf(store);
    const done: Aftermath = {
      revoked: [],
      disabled: [],
      roles: [],
      removedNodes: [],
      ...found.lost,
      policy: policyInForce(store).document === snapshot.policy.document ? 'same' : 'to-compare',
      toClose: [],
    };
    for (const { id, name, address, userId } of found.revoked) {
      revokeDevice(store, id, actor, 'device.revoke', now);
      done.revoked.push({ name, address, email: emails.get(userId) ?? 'unknown' });
    }
    for (const user of found.disabled.filter((user) => !isTouched(store, user))) {
      if (changeUser(store, user.id, { disabled: true }, actor, now).ok) done.disabled.push(user.email);
      else done.toClose.push(`disable ${user.email}`);
    }
    for (const { user, role } of found.roles.filter(({ user }) => !isTouched(store, user))) {
      if (changeUser(store, user.id, { role }, actor, now).ok)
        done.roles.push({ email: user.email, from: user.role, to: role });
      else done.toClose.push(`give ${user.email} the role ${role}`);
    }
    for (const name of found.removedNodes) {
      if (removeNode(store, name, actor, now).ok) done.removedNodes.push(name);
      else done.toClose.push(`remove the node ${name}`);
    }
    // Above all that any node has seen, so that a number means one thing for ever.
    const { revision } = raiseRevisionAbove(store, snapshot.revision, now);
    for (const { address } of [...found.lost.lostDevices, ...snapshot.fronts])
      restAddress(store, ipv4ToNumber(address), revision);
    if (hasPolicy && done.policy === 'same') done.policy = 'taken-over';
    keep(store, life, snapshot, merged(life.aftermath, done));
    audit(store, now, {
      actor,
      act: 'master.aftermath',
      subject: 'master',
      detail: { from: life.from, ...counts(done) },
    });
    return done;
  });
}

type DeviceRow = { id: string; user_id: string; name: string; public_key: string; address: number };

/** The roster as the copy had it, as far as it is still there: by revisions, since clocks may differ. */
function rosterOfCopy(store: Store, copied: number): Roster {
  const { db } = store;
  const users = db.query<RosterUser, []>('SELECT id, email, role FROM users WHERE disabled = 0').all();
  const devices = db
    .query<DeviceRow, [number]>('SELECT id, user_id, name, public_key, address FROM devices WHERE listed_revision <= ?')
    .all(copied)
    .map((row) => ({
      id: row.id,
      userId: row.user_id,
      name: row.name,
      publicKey: row.public_key,
      address: numberToIpv4(row.address),
    }));
  const nodes = db
    .query<{ name: string; publicKey: string }, [number]>(
      'SELECT name, public_key AS publicKey FROM nodes WHERE added_revision <= ?',
    )
    .all(copied);
  return { users, devices, nodes };
}

function emailsOf({ db }: Store): ReadonlyMap<string, string> {
  const rows = db.query<{ id: string; email: string }, []>('SELECT id, email FROM users').all();
  return new Map(rows.map(({ id, email }) => [id, email]));
}

/** Whether an admin added or changed the user in this life. */
function isTouched({ db }: Store, { id }: RosterUser): boolean {
  return (
    db
      .query(
        `SELECT 1 FROM audit WHERE act IN ('user.add', 'user.change') AND subject = ?
         AND id > (SELECT max(id) FROM audit WHERE act IN ('master.restore', 'master.promote'))`,
      )
      .get(id) !== null
  );
}

function keep({ db }: Store, { epoch }: Life, witnessed: Version, aftermath: Aftermath): void {
  db.query(`UPDATE lives SET witnessed_epoch = $witnessedEpoch, witnessed_revision = $witnessedRevision,
       aftermath = $aftermath WHERE epoch = $epoch`).run({
    epoch,
    witnessedEpoch: witnessed.epoch,
    witnessedRevision: witnessed.revision,
    aftermath: JSON.stringify(aftermath),
  });
}

/** What was done stays done; what is lost is as the newest snapshot has it. */
function merged(before: Aftermath, after: Aftermath): Aftermath {
  return {
    ...after,
    revoked: [...before.revoked, ...after.revoked],
    disabled: [...before.disabled, ...after.disabled],
    roles: [...before.roles, ...after.roles],
    removedNodes: [...before.removedNodes, ...after.removedNodes],
  };
}

function counts(aftermath: Aftermath): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(aftermath).map(([name, value]) => [name, Array.isArray(value) ? value.length : value]),
  );
}
