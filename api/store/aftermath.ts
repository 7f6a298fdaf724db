import type { Aftermath, Life } from '#contract/life.ts';
import { ipv4ToNumber, numberToIpv4 } from '#contract/network.ts';
import type { RosterUser } from '#contract/roster.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { differencesSince, type Roster } from '../decisions/witness.ts';
import { restAddress } from './addresses.ts';
import { audit } from './audit.ts';
import { revokeDevice } from './devices.ts';
import { currentLife } from './lives.ts';
import { removeNode } from './nodes.ts';
import type { Store } from './open.ts';
import { policyInForce } from './policies.ts';
import { raiseRevisionAbove } from './settings.ts';
import { changeUser } from './users.ts';

/**
 * Takes over from a snapshot what had been closed after the copy that this life began with, and writes down what is
 * lost. Only what nobody has touched since is changed: in this life an admin's word counts more than a memory.
 *
 * @returns what was found; undefined when the snapshot tells nothing that is not known.
 */
export function takeOver(store: Store, snapshot: Snapshot, node: string, now: Date): Aftermath | undefined {
  return store.write(() => {
    const life = currentLife(store);
    if (life === undefined || snapshot.epoch !== life.from.epoch || snapshot.revision <= life.witnessedRevision)
      return undefined;
    const actor = `node ${node}, which held ${snapshot.epoch}-${snapshot.revision}`;
    const found = differencesSince(rosterOfCopy(store, life.from.revision), snapshot);
    const emails = emailsOf(store);
    const done: Aftermath = {
      revoked: [],
      disabled: [],
      roles: [],
      removedNodes: [],
      ...found.lost,
      policyChanged: policyInForce(store).document !== snapshot.policy.document,
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
    for (const { address } of found.lost.lostDevices) restAddress(store, ipv4ToNumber(address), revision);
    keep(store, life, snapshot.revision, merged(life.aftermath, done));
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

function keep({ db }: Store, { epoch }: Life, revision: number, aftermath: Aftermath): void {
  db.query('UPDATE lives SET witnessed_revision = $revision, aftermath = $aftermath WHERE epoch = $epoch').run({
    epoch,
    revision,
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
