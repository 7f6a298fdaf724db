import { type Cidr, cidrRange, type Ipv4, ipv4ToNumber } from '#contract/network.ts';
import type { Chain, Firewall, IpSet, Match, PortRange, RuleTarget, State, Table } from './firewall.ts';
import { liveElements } from './render.ts';

/**
 * A small model of what the kernel does with our rules: enough of netfilter to run one packet through one chain. It knows
 * what a match means, and nothing of policies.
 */

/** A packet at one place of its way through a node. */
export interface KernelPacket {
  readonly in: string | undefined;
  readonly out: string | undefined;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'vrrp' | 'other';
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly icmpType: number;
  /** For tcp: SYN and no ACK. */
  readonly opens: boolean;
  readonly state: 'NEW' | 'ESTABLISHED' | 'RELATED' | 'INVALID' | 'UNTRACKED';
  readonly direction: 'ORIGINAL' | 'REPLY';
  readonly redirected: boolean;
  readonly originalDestination: Ipv4;
  readonly originalPort: number;
}

export type Ruling =
  | { readonly kind: 'ACCEPT' | 'DROP' | 'RESET' | 'MASQUERADE' }
  | { readonly kind: 'DNAT'; readonly to: Ipv4 };

interface LoadedSet {
  readonly type: IpSet['type'];
  /** Unix milliseconds at which an element goes. */
  readonly elements: ReadonlyMap<string, number>;
  readonly ranges: readonly { first: number; last: number; ends: number }[];
}

/** A firewall as loaded into a kernel at one moment. */
export interface Loaded {
  readonly sets: ReadonlyMap<string, LoadedSet>;
  readonly chains: ReadonlyMap<string, Chain>;
}

/** Loads sets and chains at `now`, as the agent would: a jump to a chain that is not there is refused. */
export function load({ sets, chains }: Firewall, now: number): Loaded {
  const loaded = new Map<string, LoadedSet>();
  for (const set of sets) {
    const elements = new Map<string, number>();
    for (const { element, timeout } of liveElements(set, now)) {
      if (timeout !== undefined && !set.timeouts) throw new Error(`${set.name} takes no timeouts`);
      if (set.type === 'list:set' && !loaded.has(element))
        throw new Error(`${set.name} names ${element}, which is not there`);
      elements.set(element, timeout === undefined ? Infinity : now + timeout * 1000);
    }
    if (set.type === 'list:set' && elements.size > (set.size ?? 8)) throw new Error(`${set.name} is full`);
    const ranges = set.type === 'hash:net' ? [...elements].map(([cidr, ends]) => ({ ...cidrRange(cidr), ends })) : [];
    loaded.set(set.name, { type: set.type, elements, ranges });
  }
  const byName = new Map(chains.map((chain) => [chainKey(chain.family, chain.table, chain.name), chain]));
  for (const { family, table, rules } of chains)
    for (const { match, target } of rules) {
      if (target.kind === 'jump' && !byName.has(chainKey(family, table, target.chain)))
        throw new Error(`no chain ${target.chain}`);
      for (const { name } of match.sets ?? []) if (!loaded.has(name)) throw new Error(`no set ${name}`);
    }
  return { sets: loaded, chains: byName };
}

/** What a chain rules about a packet; undefined: it has nothing to say, and the caller goes on. */
export function run(
  kernel: Loaded,
  family: 4 | 6,
  table: Table,
  name: string,
  packet: KernelPacket,
  now: number,
): Ruling | undefined {
  const ruling = walk(kernel, family, table, name, packet, now);
  return ruling?.kind === 'RETURN' ? undefined : ruling;
}

function walk(
  kernel: Loaded,
  family: 4 | 6,
  table: Table,
  name: string,
  packet: KernelPacket,
  now: number,
): Ruling | { kind: 'RETURN' } | undefined {
  for (const { match, target } of kernel.chains.get(chainKey(family, table, name))?.rules ?? []) {
    if (!matches(kernel, match, packet, now)) continue;
    const ruling =
      target.kind === 'jump' ? run(kernel, family, table, target.chain, packet, now) : final(target, packet);
    if (ruling !== undefined) return ruling;
  }
  return undefined;
}

function final(
  target: Exclude<RuleTarget, { kind: 'jump' }>,
  packet: KernelPacket,
): Ruling | { kind: 'RETURN' } | undefined {
  if (target.kind === 'CLAMP-MSS') return undefined;
  /** The kernel answers a reset with nothing but a drop when there is no TCP to reset. */
  if (target.kind === 'RESET' && packet.protocol !== 'tcp') return { kind: 'DROP' };
  return target.kind === 'DNAT' ? { kind: 'DNAT', to: target.to } : { kind: target.kind };
}

function matches(kernel: Loaded, match: Match, packet: KernelPacket, now: number): boolean {
  const { source, destination, protocol, states, notStates, direction, originalDestination, originalPort } = match;
  return (
    (match.in === undefined || match.in === packet.in) &&
    (match.notIn === undefined || match.notIn !== packet.in) &&
    (match.out === undefined || match.out === packet.out) &&
    (protocol === undefined || protocol === packet.protocol) &&
    (states === undefined || stateMatches(states, packet)) &&
    (notStates === undefined || !stateMatches(notStates, packet)) &&
    (direction === undefined ||
      (packet.state !== 'UNTRACKED' && packet.state !== 'INVALID' && direction === packet.direction)) &&
    portMatches(match.destinationPorts, packet.destinationPort) &&
    portMatches(match.sourcePorts, packet.sourcePort) &&
    (match.icmpType === undefined || match.icmpType === packet.icmpType) &&
    (match.tcp === undefined || tcpMatches(match.tcp, packet)) &&
    (source === undefined || inCidr(source, packet.source)) &&
    (destination === undefined || inCidr(destination, packet.destination)) &&
    (originalDestination === undefined || (tracked(packet) && originalDestination === packet.originalDestination)) &&
    (originalPort === undefined || (tracked(packet) && portMatches([originalPort], packet.originalPort))) &&
    (match.sets ?? []).every(
      ({ name, side, not }) =>
        contains(kernel, name, side === 'src' ? packet.source : packet.destination, now) !== (not ?? false),
    )
  );
}

/** The kernel remembers no beginning of what it does not track. */
function tracked({ state }: KernelPacket): boolean {
  return state !== 'INVALID' && state !== 'UNTRACKED';
}

function stateMatches(states: readonly State[], packet: KernelPacket): boolean {
  return states.includes(packet.state) || (states.includes('DNAT') && packet.redirected && tracked(packet));
}

function tcpMatches(flags: NonNullable<Match['tcp']>, { opens }: KernelPacket): boolean {
  return flags === 'goes-on' ? !opens : opens;
}

function portMatches(ranges: readonly PortRange[] | undefined, port: number): boolean {
  return ranges === undefined || ranges.some(({ first, last }) => first <= port && port <= last);
}

function contains(kernel: Loaded, name: string, address: Ipv4, now: number): boolean {
  const set = kernel.sets.get(name);
  if (set === undefined) throw new Error(`no set ${name}`);
  if (set.type === 'hash:ip') return (set.elements.get(address) ?? 0) > now;
  if (set.type === 'list:set')
    return [...set.elements].some(([inner, ends]) => ends > now && contains(kernel, inner, address, now));
  const value = ipv4ToNumber(address);
  return set.ranges.some(({ first, last, ends }) => first <= value && value <= last && ends > now);
}

function inCidr(cidr: Cidr, address: Ipv4): boolean {
  const { first, last } = cidrRange(cidr);
  const value = ipv4ToNumber(address);
  return first <= value && value <= last;
}

function chainKey(family: 4 | 6, table: Table, name: string): string {
  return `${family} ${table} ${name}`;
}
