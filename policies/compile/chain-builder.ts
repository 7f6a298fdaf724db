import type { World } from '#policies/meaning/world.ts';
import type { Match, Rule, RuleTarget } from './firewall.ts';
import { type Grant, grantsOf, type Timed, timedPlaces } from './grants.ts';
import { Sets } from './sets.ts';

/** What every part of a node's firewall is built from. */
export interface Plan {
  readonly world: World;
  readonly node: string;
  readonly revision: number;
  /** The tunnel's interface. */
  readonly tunnel: string;
  /** The interface between the nodes. */
  readonly mesh: string;
  readonly grants: readonly Grant[];
  readonly timed: Timed | undefined;
  readonly sets: Sets;
}

export function planFor(world: World, node: string, revision: number, tunnel: string, mesh: string): Plan {
  return {
    world,
    node,
    revision,
    tunnel,
    mesh,
    grants: grantsOf(world, node, mesh),
    timed: timedPlaces(world, node, mesh),
    sets: new Sets(world, revision),
  };
}

/** The names of our chains. Nothing else of a node's firewall is ours. */
export const chainNames = {
  forward: 'POSTERN-FORWARD',
  redirected: 'POSTERN-REDIRECTED',
  reply: 'POSTERN-REPLY',
  replyTimed: 'POSTERN-REPLY-TIMED',
  replyRedirected: 'POSTERN-REPLY-REDIR',
  replyHost: 'POSTERN-REPLY-HOST',
  input: 'POSTERN-INPUT',
  host: 'POSTERN-HOST',
  front: 'POSTERN-FRONT',
  mesh: 'POSTERN-MESH',
  meshHost: 'POSTERN-MESH-HOST',
  public: 'POSTERN-PUBLIC',
  refuse: 'POSTERN-REFUSE',
  prerouting: 'POSTERN-PREROUTING',
  postrouting: 'POSTERN-POSTROUTING',
  mss: 'POSTERN-MSS',
  raw: 'POSTERN-RAW',
} as const;

/** What may leave by one interface. An interface's name has at most 15 letters, so this has at most 26 of the 28 it may. */
export const chainTowards = (device: string) => `POSTERN-TO-${device}`;

const longestComment = 200;

/** Writes rules with the revision in their comments. `why` is a word for people, lines are the document's. */
export function ruleWriter({ revision }: Pick<Plan, 'revision'>) {
  return (match: Match, target: RuleTarget, why: string | readonly number[]): Rule => {
    const text = typeof why === 'string' ? why : `line ${why.join(',')}`;
    const whole = `postern r${revision} ${text}`;
    return {
      match,
      target,
      comment: whole.length <= longestComment ? whole : `${whole.slice(0, longestComment - 3)}...`,
    };
  };
}

/** Subnets of the addresses of this node that are known beforehand: its own, and the one that moves. */
export function ownAddresses({ world, node }: Plan): string[] {
  const own = world.roster.nodes.find(({ name }) => name === node)?.tunnelAddress;
  return [own, world.roster.vip].filter((address) => address !== undefined);
}
