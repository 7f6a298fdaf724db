import type { Chain, Element, Firewall, IpSet, Match, PortRange, Rule, RuleTarget, State, Table } from './firewall.ts';

/** The firewall as the text that `ipset restore` and `iptables-restore --noflush` take, in the spelling they save it in. */

/** The most seconds an ipset element can live. */
export const longestTimeout = 2_147_483;

/**
 * The elements a set holds when it is loaded at `now`. An end becomes a timeout in whole seconds, rounded down, and one
 * too far away the longest there is, to be renewed: an element may go early, never late. A timeout of 0 would mean
 * forever, so an element with less than a second left is not loaded at all.
 */
export function liveElements(set: Pick<IpSet, 'elements'>, now: number): { element: string; timeout?: number }[] {
  return set.elements.flatMap(({ element, until }: Element) => {
    if (until === undefined) return [{ element }];
    const timeout = secondsLeft(until, now);
    return timeout === undefined ? [] : [{ element, timeout }];
  });
}

/** The timeout that stands for an end; undefined when there is not a whole second left. */
export function secondsLeft(until: number, now: number): number | undefined {
  const seconds = Math.min(Math.floor((until - now) / 1000), longestTimeout);
  return seconds < 1 ? undefined : seconds;
}

/** Sets as `ipset restore` takes them. */
export function renderSets(sets: readonly IpSet[], now: number): string {
  return sets
    .flatMap((set) => [
      `create ${set.name} ${setDefinition(set)}`,
      ...liveElements(set, now).map(
        ({ element, timeout }) => `add ${set.name} ${element}${timeout === undefined ? '' : ` timeout ${timeout}`}`,
      ),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

/** Room for a million elements: the limit guards the kernel's memory, and a pool is never larger in practice. */
const mostElements = 1_048_576;

/** What stands after the name of a set where it is made. */
export function setDefinition({ type, timeouts, size }: Pick<IpSet, 'type' | 'timeouts' | 'size'>): string {
  const options = type === 'list:set' ? `size ${size ?? 8}` : `family inet maxelem ${mostElements}`;
  return `${type} ${options}${timeouts ? ' timeout 0' : ''}`;
}

const tables: readonly Table[] = ['filter', 'nat', 'mangle', 'raw'];

/** Our chains of one address family, each filled anew. What is not ours is not named and stays. */
export function renderChains({ chains }: Pick<Firewall, 'chains'>, family: 4 | 6): string {
  const text = tables.flatMap((table) => {
    const own = chains.filter((chain) => chain.family === family && chain.table === table);
    if (own.length === 0) return [];
    return [`*${table}`, ...own.map(({ name }) => `:${name} - [0:0]`), ...own.flatMap(chainLines), 'COMMIT'];
  });
  return text.map((line) => `${line}\n`).join('');
}

function chainLines({ name, rules }: Chain): string[] {
  return rules.map((rule) => `-A ${name} ${renderRule(rule)}`);
}

/** One rule without its chain, as `iptables-save` writes it. */
export function renderRule({ match, target, comment }: Rule): string {
  return [...matchWords(match), `-m comment --comment "${comment}"`, targetWords(target)].join(' ');
}

/** Not every machine knows it by name. */
const vrrpNumber = 112;

function matchWords(match: Match): string[] {
  const { source, destination, protocol } = match;
  return [
    ...(source === undefined ? [] : [`-s ${source}`]),
    ...(destination === undefined ? [] : [`-d ${destination}`]),
    ...(match.in === undefined ? [] : [`-i ${match.in}`]),
    ...(match.notIn === undefined ? [] : [`! -i ${match.notIn}`]),
    ...(match.out === undefined ? [] : [`-o ${match.out}`]),
    ...(protocol === undefined ? [] : [`-p ${protocol === 'vrrp' ? vrrpNumber : protocol}`]),
    ...portWords(protocol, 'd', match.destinationPorts),
    ...portWords(protocol, 's', match.sourcePorts),
    ...(match.icmpType === undefined ? [] : [`-m icmp --icmp-type ${match.icmpType}`]),
    ...(match.tcp === undefined ? [] : [`-m tcp ${tcpFlags[match.tcp]}`]),
    ...(match.sets ?? []).map(({ name, side, not }) => `-m set ${not ? '! ' : ''}--match-set ${name} ${side}`),
    ...conntrackWords(match),
  ];
}

const tcpFlags = {
  opens: '--tcp-flags FIN,SYN,RST,ACK SYN',
  'goes-on': '! --tcp-flags FIN,SYN,RST,ACK SYN',
  'syn-or-syn-ack': '--tcp-flags SYN,RST SYN',
} as const;

function portWords(protocol: Match['protocol'], side: 's' | 'd', ports: readonly PortRange[] | undefined): string[] {
  const [only] = ports ?? [];
  if (ports === undefined || only === undefined) return [];
  if (ports.length === 1) return [`-m ${protocol} --${side}port ${range(only)}`];
  return [`-m multiport --${side}ports ${ports.map(range).join(',')}`];
}

/** In the order in which iptables writes them. */
const stateOrder: readonly State[] = ['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED', 'DNAT'];

const inOrder = (states: readonly State[]) => stateOrder.filter((state) => states.includes(state)).join(',');

function conntrackWords({ states, notStates, direction, originalDestination, originalPort }: Match): string[] {
  const words = [
    ...(states === undefined ? [] : [`--ctstate ${inOrder(states)}`]),
    ...(notStates === undefined ? [] : [`! --ctstate ${inOrder(notStates)}`]),
    ...(originalDestination === undefined ? [] : [`--ctorigdst ${originalDestination}`]),
    ...(originalPort === undefined ? [] : [`--ctorigdstport ${range(originalPort)}`]),
    ...(direction === undefined ? [] : [`--ctdir ${direction}`]),
  ];
  return words.length === 0 ? [] : [`-m conntrack ${words.join(' ')}`];
}

function targetWords(target: RuleTarget): string {
  switch (target.kind) {
    case 'jump':
      return `-j ${target.chain}`;
    case 'DNAT':
      return `-j DNAT --to-destination ${target.to}`;
    case 'RESET':
      return '-j REJECT --reject-with tcp-reset';
    case 'CLAMP-MSS':
      return '-j TCPMSS --clamp-mss-to-pmtu';
    default:
      return `-j ${target.kind}`;
  }
}

function range({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}:${last}`;
}
