import type { Aftermath } from '#contract/life.ts';
import type { RosterDevice, RosterNode, RosterUser } from '#contract/roster.ts';
import { compareVersions, type Version } from '#contract/snapshot.ts';

/**
 * Nodes remember the newest snapshot they were given. What they hold tells a master that is behind them, and after a
 * restore what had changed since the copy was made.
 */

/** How long a new life waits for the nodes to show what they hold, before it gives them anything. */
export const settleMilliseconds = 15_000;

export type Standing = {
  own: Version;
  /** The life that the database is in, but for its first. */
  life: { from: Version; beganAt: string } | undefined;
  /** What each node has shown in this life. */
  shown: ReadonlyMap<string, Version>;
  nodes: readonly string[];
};

/**
 * Before a node gets a snapshot. `show`: it must show the one it holds first. `wait`: others may know of something that
 * was closed after the copy. A node that does not say what it holds is an older one, and served as ever.
 */
export function beforeSnapshot(
  { own, life, shown, nodes }: Standing,
  node: string,
  held: Version | undefined,
  now: Date,
): 'serve' | 'show' | 'wait' {
  if (held !== undefined && !isShown(shown.get(node), held)) {
    if (compareVersions(held, own) > 0) return 'show';
    if (life !== undefined && isMemory(held, own, life.from)) return 'show';
  }
  if (life === undefined || now.getTime() - Date.parse(life.beganAt) >= settleMilliseconds) return 'serve';
  return nodes.every((other) => other === node || shown.has(other)) ? 'serve' : 'wait';
}

/** Whether a version is of the time between the copy that a life began with and that life itself. */
export function isMemory(version: Version, own: Version, copy: Version): boolean {
  return version.epoch < own.epoch && compareVersions(version, copy) > 0;
}

function isShown(shown: Version | undefined, held: Version): boolean {
  return shown !== undefined && compareVersions(shown, held) >= 0;
}

export type Roster = {
  users: readonly RosterUser[];
  devices: readonly Pick<RosterDevice, 'id' | 'userId' | 'name' | 'address' | 'publicKey'>[];
  nodes: readonly Pick<RosterNode, 'name' | 'publicKey'>[];
};

export type Differences = {
  /** Revoked after the copy, of users who are still there. */
  revoked: Roster['devices'];
  /** Disabled or removed after the copy. */
  disabled: readonly RosterUser[];
  roles: readonly { user: RosterUser; role: string }[];
  removedNodes: readonly string[];
  lost: Pick<Aftermath, 'lostDevices' | 'lostUsers' | 'lostNodes'>;
};

/**
 * What happened between the copy and a later snapshot. `copy` is the roster that the copy had: what came after it is
 * not in it.
 */
export function differencesSince(copy: Roster, later: Roster): Differences {
  const [laterUsers, copiedUsers] = [later, copy].map(({ users }) => new Map(users.map((user) => [user.id, user])));
  const [laterKeys, copiedKeys] = [later, copy].map(
    ({ devices }) => new Set(devices.map(({ publicKey }) => publicKey)),
  );
  const isGone = (user: RosterUser) => laterUsers?.has(user.id) === false;
  const nodeIsGone = ({ name, publicKey }: Roster['nodes'][number]) =>
    !later.nodes.some((node) => node.name === name && node.publicKey === publicKey);
  return {
    revoked: copy.devices.filter(({ publicKey, userId }) => !laterKeys?.has(publicKey) && laterUsers?.has(userId)),
    disabled: copy.users.filter(isGone),
    roles: copy.users.flatMap((user) => {
      const role = laterUsers?.get(user.id)?.role;
      return role === undefined || role === user.role ? [] : [{ user, role }];
    }),
    removedNodes: copy.nodes.filter(nodeIsGone).map(({ name }) => name),
    lost: {
      lostDevices: later.devices
        .filter(({ publicKey }) => !copiedKeys?.has(publicKey))
        .map(({ name, address, userId }) => ({ name, address, email: laterUsers?.get(userId)?.email ?? 'unknown' })),
      lostUsers: later.users.filter(({ id }) => !copiedUsers?.has(id)).map(({ email }) => email),
      lostNodes: later.nodes
        .filter(({ publicKey }) => !copy.nodes.some((node) => node.publicKey === publicKey))
        .map(({ name }) => name),
    },
  };
}
