import { numberToIpv4 } from '#contract/network.ts';
import type { Front } from '#contract/policy.ts';
import type { RosterNode } from '#contract/roster.ts';
import { allFronts, frontsFor } from './fronts.ts';
import { rosterNodes } from './nodes.ts';
import type { Store } from './open.ts';
import { policyInForce } from './policies.ts';
import { type ApiPlace, readSettings } from './settings.ts';

/** What a document is judged in: everybody and everything that is there, as it is on the disk. */
export type Surroundings = {
  readonly pool: string;
  readonly publicUrl: string;
  readonly api: ApiPlace | null;
  readonly users: readonly SeenUser[];
  readonly devices: readonly SeenDevice[];
  readonly nodes: readonly RosterNode[];
  readonly frontsInForce: readonly Front[];
  /** Of the services that were asked about; undefined when there are not enough addresses for them. */
  readonly fronts: readonly Front[] | undefined;
  /** What the judgement depends on: see `premiseOf`. */
  readonly premise: string;
};

export type SeenUser = {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly disabled: boolean;
};

/** `listed` is false while a device is reserved, or its user disabled. */
export type SeenDevice = {
  readonly id: string;
  readonly userId: string;
  readonly email: string;
  readonly role: string;
  readonly name: string;
  readonly publicKey: string;
  readonly address: string;
  readonly listed: boolean;
};

/**
 * Looks around on behalf of a document that names these people and has fronts for these services. What was written but is
 * not stored yet may never be, so it is stored first. @throws NotStored
 */
export function lookAround(
  store: Store,
  { people, fronted }: { people: readonly string[]; fronted: readonly string[] },
): Surroundings {
  const fronts = frontsFor(store, fronted);
  store.flush();
  const { pool, publicUrl, api } = readSettings(store);
  return {
    pool,
    publicUrl,
    api,
    users: seenUsers(store),
    devices: seenDevices(store),
    nodes: rosterNodes(store),
    frontsInForce: allFronts(store),
    fronts,
    premise: premiseOf(store, people),
  };
}

/**
 * What can change the judgement of a document that names these people: the document in force, the nodes, where the API
 * is, which roles are in use, and those people. Others may come and go, and so may devices.
 */
export function premiseOf(store: Store, people: readonly string[]): string {
  const { pool, publicUrl, api } = readSettings(store);
  const named = new Set(people);
  const users = seenUsers(store);
  return JSON.stringify([
    policyInForce(store).mark,
    pool,
    publicUrl,
    api,
    rosterNodes(store),
    [...new Set(users.map(({ role }) => role))].sort(),
    users.filter(({ email }) => named.has(email)),
  ]);
}

export function seenDevices({ db }: Store): SeenDevice[] {
  type Row = {
    id: string;
    user_id: string;
    email: string;
    role: string;
    name: string;
    public_key: string;
    address: number;
    listed: number;
  };
  return db
    .query<Row, []>(
      `SELECT devices.id, user_id, email, role, name, public_key, address, listed_revision IS NOT NULL AS listed
       FROM devices JOIN users ON users.id = devices.user_id ORDER BY devices.id`,
    )
    .all()
    .map(({ user_id: userId, public_key: publicKey, address, listed, ...row }) => ({
      ...row,
      userId,
      publicKey,
      address: numberToIpv4(address),
      listed: listed === 1,
    }));
}

function seenUsers({ db }: Store): SeenUser[] {
  return db
    .query<{ id: string; email: string; role: string; disabled: number }, []>(
      'SELECT id, email, role, disabled FROM users ORDER BY id',
    )
    .all()
    .map(({ disabled, ...user }) => ({ ...user, disabled: disabled === 1 }));
}
