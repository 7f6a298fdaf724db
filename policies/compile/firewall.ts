import type { Cidr, Ipv4 } from '#contract/network.ts';
import type { Port } from '#policies/language/statement.ts';

/**
 * A node's firewall as plain values: sets, chains of rules, and where the chains are hooked in. The agent turns them
 * into `ipset` and `iptables-restore` text (`render.ts`), and the tests run them through a model of the kernel (`model.ts`).
 */
export interface Firewall {
  readonly node: string;
  readonly revision: number;
  /** A set stands after those it is made of. */
  readonly sets: readonly IpSet[];
  readonly chains: readonly Chain[];
  readonly hooks: readonly Hook[];
}

export type SetType = 'hash:ip' | 'hash:net' | 'hash:ip,port,net' | 'list:set';

export interface IpSet {
  /** At most 31 characters, and unlike that of any other revision. */
  readonly name: string;
  readonly type: SetType;
  /** Whether an element may end by itself. */
  readonly timeouts: boolean;
  /** For a list: how many sets it can hold. */
  readonly size?: number;
  readonly elements: readonly Element[];
}

export interface Element {
  readonly element: string;
  /** Unix milliseconds; the element is gone from then on. Absent: it stays. */
  readonly until?: number;
}

export type Table = 'filter' | 'nat' | 'mangle' | 'raw';

export interface Chain {
  readonly family: 4 | 6;
  readonly table: Table;
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** A jump from position 1 of a chain that is not ours. `ifPresent`: only where that chain exists, and its table. */
export interface Hook {
  readonly family: 4 | 6;
  readonly table: Table;
  readonly from: string;
  readonly to: string;
  readonly ifPresent?: true;
}

export interface Rule {
  readonly match: Match;
  readonly target: RuleTarget;
  /** Revision and lines, for `explain` and for people who read `iptables-save`. */
  readonly comment: string;
}

/** All of these must hold. */
export interface Match {
  readonly source?: Cidr;
  readonly destination?: Cidr;
  readonly in?: string;
  readonly notIn?: string;
  readonly out?: string;
  readonly protocol?: 'tcp' | 'udp' | 'icmp' | 'vrrp';
  readonly destinationPorts?: readonly PortRange[];
  readonly sourcePorts?: readonly PortRange[];
  readonly icmpType?: number;
  /** `opens`: SYN alone; `goes-on`: anything else. */
  readonly tcp?: 'opens' | 'goes-on' | 'syn-or-syn-ack';
  readonly sets?: readonly SetMatch[];
  readonly states?: readonly State[];
  /** None of these; what no flow is known of is INVALID or UNTRACKED. */
  readonly notStates?: readonly State[];
  readonly direction?: 'ORIGINAL' | 'REPLY';
  /** Where the flow's first packet was sent, before anything was redirected. */
  readonly originalDestination?: Ipv4;
  readonly originalPort?: PortRange;
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface SetMatch {
  readonly name: string;
  readonly side: 'src' | 'dst';
  readonly not?: true;
}

export type State = 'INVALID' | 'NEW' | 'RELATED' | 'ESTABLISHED' | 'UNTRACKED' | 'DNAT';

export type RuleTarget =
  | { readonly kind: 'ACCEPT' | 'DROP' | 'RETURN' | 'RESET' | 'MASQUERADE' | 'CLAMP-MSS' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'DNAT'; readonly to: Ipv4 };

export const accept: RuleTarget = { kind: 'ACCEPT' };
export const drop: RuleTarget = { kind: 'DROP' };
export const jump = (chain: string): RuleTarget => ({ kind: 'jump', chain });

/** A multiport match holds 15 ports, and a range counts for two. */
const portsInOneRule = 15;

/** The matches that together hold exactly these ports of packets on their way there; no ports is one match for all. */
export function portMatches(
  ports: readonly Port[],
  side: 'destinationPorts' | 'sourcePorts' = 'destinationPorts',
): Match[] {
  if (ports.length === 0) return [{}];
  const matches: Match[] = [];
  for (const protocol of ['tcp', 'udp'] as const) {
    let chunk: PortRange[] = [];
    let room = portsInOneRule;
    for (const port of ports) {
      if (port.protocol !== protocol) continue;
      const slots = port.first === port.last ? 1 : 2;
      if (slots > room) {
        matches.push({ protocol, [side]: chunk });
        [chunk, room] = [[], portsInOneRule];
      }
      chunk.push({ first: port.first, last: port.last });
      room -= slots;
    }
    if (chunk.length > 0) matches.push({ protocol, [side]: chunk });
  }
  if (ports.some(({ protocol }) => protocol === 'icmp')) matches.push(ping(side === 'sourcePorts'));
  return matches;
}

/** The same by the port the flow was begun with, which a redirection does not change. */
export function originalPortMatches(ports: readonly Port[], reply = false): Match[] {
  if (ports.length === 0) return [{}];
  return ports.map((port) =>
    port.protocol === 'icmp'
      ? ping(reply)
      : { protocol: port.protocol, originalPort: { first: port.first, last: port.last } },
  );
}

const echoRequest = 8;
const echoReply = 0;

function ping(reply: boolean): Match {
  return { protocol: 'icmp', icmpType: reply ? echoReply : echoRequest };
}
