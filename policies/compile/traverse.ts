import { cidrContains, cidrRange, type Ipv4 } from '#contract/network.ts';
import { statementsOf } from '#policies/language/statement.ts';
import { echoRequest, type Packet } from '#policies/meaning/packet.ts';
import { placeInMesh, type World } from '#policies/meaning/world.ts';
import type { Firewall } from './firewall.ts';
import { type KernelPacket, type Loaded, type Ruling, run } from './model.ts';

/** The way of one packet through a node in the model: what is redirected, which hook sees it, and what becomes of it. */

/** What is on the node besides our firewall. */
export interface Host {
  readonly tunnel: string;
  readonly mesh: string;
  /** `nf_conntrack_tcp_loose`: TCP in midstream makes a flow, and is redirected as its first packet would be. */
  readonly loose: boolean;
  /** The ports Docker publishes, on every address of the node. */
  readonly published: readonly { readonly protocol: 'tcp' | 'udp'; readonly port: number }[];
  readonly container: { readonly address: Ipv4; readonly device: string };
  /** The interface the node's routes choose for an address that is not its own. */
  readonly routeTo: (address: Ipv4) => string;
}

export interface Outcome {
  readonly verdict: 'allowed' | 'denied' | 'untouched';
  readonly reset: boolean;
  readonly masquerade: boolean;
  readonly redirectedTo: Ipv4 | undefined;
}

export function traverse(firewall: Firewall, kernel: Loaded, host: Host, packet: Packet, now: number): Outcome {
  const hooks = hookChains(firewall, packet.family);
  const flow = beginning(packet, host);
  const redirection = redirect(kernel, host, packet, flow, hooks, now);
  const onItsWay = { ...flow, ...redirection };
  const local = redirection.out === undefined;
  const coming = packet.phase === 'reply' || packet.phase === 'error';

  const met = coming ? answer(packet, onItsWay, local) : onItsWay;
  if (met === undefined) return { verdict: 'untouched', reset: false, masquerade: false, redirectedTo: undefined };
  const hook = coming
    ? packet.from.kind === 'node'
      ? 'INPUT'
      : 'FORWARD'
    : packet.from.kind === 'node'
      ? undefined
      : local
        ? 'INPUT'
        : 'FORWARD';
  const ruling = hook === undefined ? undefined : through(kernel, packet.family, hooks(hook), met, now);
  const allowed = ruling?.kind === 'ACCEPT';
  const leaves = allowed && !coming && !local && packet.family === 4;
  const source = leaves ? run(kernel, 4, 'nat', hooks('POSTROUTING', 'nat')[0] ?? '', met, now) : undefined;
  return {
    verdict: ruling === undefined ? 'untouched' : allowed ? 'allowed' : 'denied',
    reset: ruling?.kind === 'RESET',
    masquerade: source?.kind === 'MASQUERADE',
    redirectedTo: allowed && !coming ? redirection.redirectedByUs : undefined,
  };
}

/** A node of a document, with routes to the networks it leads to, and to the others where it is in the mesh. */
export function hostOf(world: World, node: string, published: Host['published'] = [], loose = false): Host {
  const between = placeInMesh(world, node) === undefined ? undefined : 'wg-mesh';
  const routes = statementsOf(world.document, 'network').flatMap(({ cidr, gateways }) => {
    const device = gateways.find((gateway) => gateway.node.value === node)?.device.value ?? between;
    return device === undefined ? [] : [{ cidr: cidr.value, device }];
  });
  const rising = routes.toSorted((a, b) => cidrRange(b.cidr).prefix - cidrRange(a.cidr).prefix);
  return {
    tunnel: 'wg0',
    mesh: 'wg-mesh',
    loose,
    published,
    container: { address: '172.31.255.2', device: 'docker9' },
    routeTo: (address) => rising.find(({ cidr }) => cidrContains(cidr, address))?.device ?? 'eno1',
  };
}

function deviceOf(place: Packet['from'] | Packet['to'], { tunnel, mesh }: Pick<Host, 'tunnel' | 'mesh'>) {
  if (place.kind === 'interface') return place.name;
  return place.kind === 'tunnel' ? tunnel : place.kind === 'mesh' ? mesh : undefined;
}

const sourcePort = 40_001;

/** The packet at PREROUTING, when it goes the way its flow began. */
function beginning(packet: Packet, { tunnel, mesh, loose }: Host): KernelPacket {
  const { from, source, destination, protocol, port, icmpType, phase } = packet;
  const hasPorts = protocol === 'tcp' || protocol === 'udp';
  return {
    in: deviceOf(from, { tunnel, mesh }),
    out: undefined,
    source,
    destination,
    protocol,
    sourcePort: hasPorts ? sourcePort : 0,
    destinationPort: hasPorts ? port : 0,
    icmpType,
    opens: protocol === 'tcp' && phase === 'first',
    state:
      phase === 'stray' ? (isPickedUp(packet, loose) ? 'NEW' : 'INVALID') : phase === 'first' ? 'NEW' : 'ESTABLISHED',
    direction: 'ORIGINAL',
    redirected: false,
    originalDestination: destination,
    originalPort: hasPorts ? port : 0,
  };
}

/** Elsewhere than from the tunnel or the mesh that is not our affair. */
function isPickedUp({ from, protocol }: Packet, loose: boolean): boolean {
  return loose && protocol === 'tcp' && (from.kind === 'tunnel' || from.kind === 'mesh');
}

type Redirection = Pick<KernelPacket, 'destination' | 'out' | 'redirected'> & { redirectedByUs: Ipv4 | undefined };

/** Our redirections come first; Docker's take what is left for an address of the node. A stray packet has no flow to redirect. */
function redirect(
  kernel: Loaded,
  host: Host,
  packet: Packet,
  flow: KernelPacket,
  hooks: (from: string, table?: 'nat') => string[],
  now: number,
): Redirection {
  const { to, family, phase, protocol, port } = packet;
  const out = deviceOf(to, host);
  const plain = { destination: flow.destination, out, redirected: false, redirectedByUs: undefined };
  if ((phase === 'stray' && !isPickedUp(packet, host.loose)) || packet.from.kind === 'node') return plain;
  const ours = family === 4 ? run(kernel, 4, 'nat', hooks('PREROUTING', 'nat')[0] ?? '', flow, now) : undefined;
  if (ours?.kind === 'DNAT')
    return { destination: ours.to, out: host.routeTo(ours.to), redirected: true, redirectedByUs: ours.to };
  const local = out === undefined;
  const published = local && host.published.some((one) => one.protocol === protocol && one.port === port);
  if (ours !== undefined || !published) return plain;
  const { address, device } = host.container;
  return { destination: address, out: device, redirected: true, redirectedByUs: undefined };
}

/** The packet that comes back, where a hook of ours sees it. What the node itself answers leaves by OUTPUT, unseen. */
function answer({ phase, from }: Packet, flow: KernelPacket, local: boolean): KernelPacket | undefined {
  if (local) return undefined;
  const error = phase === 'error';
  return {
    ...flow,
    in: flow.out,
    out: from.kind === 'node' ? undefined : flow.in,
    source: flow.destination,
    destination: flow.source,
    protocol: error ? 'icmp' : flow.protocol,
    sourcePort: error ? 0 : flow.destinationPort,
    destinationPort: error ? 0 : flow.sourcePort,
    icmpType: error ? 3 : flow.icmpType === echoRequest ? 0 : flow.icmpType + 1,
    opens: false,
    state: error ? 'RELATED' : 'ESTABLISHED',
    direction: 'REPLY',
  };
}

function hookChains({ hooks }: Firewall, family: 4 | 6) {
  return (from: string, table: 'filter' | 'nat' = 'filter') =>
    hooks.filter((hook) => hook.family === family && hook.table === table && hook.from === from).map(({ to }) => to);
}

function through(
  kernel: Loaded,
  family: 4 | 6,
  chains: readonly string[],
  packet: KernelPacket,
  now: number,
): Ruling | undefined {
  for (const chain of chains) {
    const ruling = run(kernel, family, 'filter', chain, packet, now);
    if (ruling !== undefined) return ruling;
  }
  return undefined;
}
