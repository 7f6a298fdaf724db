import { cidrContains, type Ipv4 } from '#contract/network.ts';
import { agentPort } from '#contract/probe.ts';
import {
  type AllowStatement,
  answersPlainly,
  frontPort,
  type NetworkStatement,
  type Port,
  plainPort,
  type ServiceStatement,
  type Target,
  visiblePorts,
} from '#policies/language/statement.ts';
import { echoRequest, type Packet, portsMatch } from './packet.ts';
import { type Principal, placeInMesh, subjectMatches, type World } from './world.ts';

export type Verdict =
  /** `masquerade`: the network, or the node that leads there, sees the node's address. `redirectedTo`: the backend behind a front. */
  | { readonly verdict: 'allowed'; readonly by: Reason; readonly masquerade: boolean; readonly redirectedTo?: Ipv4 }
  /** `reset`: TCP is told at once, so that nothing hangs. */
  | { readonly verdict: 'denied'; readonly because: Denial; readonly line?: number; readonly reset: boolean }
  /** Not ours to decide. */
  | { readonly verdict: 'untouched' };

export type Reason =
  | { readonly kind: 'line'; readonly line: number }
  | { readonly kind: 'plumbing'; readonly name: string }
  | { readonly kind: 'reply' }
  /** The nodes among themselves, or what another node has judged. */
  | { readonly kind: 'mesh' };

export type Denial =
  | 'ipv6-inside'
  | 'not-a-device'
  | 'no-such-device'
  | 'no-grant'
  | 'run-out'
  | 'no-way-here'
  | 'no-known-flow'
  | 'begun-outside'
  | 'vpn-only'
  | 'inside-from-outside'
  | 'not-between-nodes';

/**
 * What becomes of a packet: the reference for all that enforces the policy. It reads the lines one by one and
 * knows nothing of sets and rules; the compiled form is held against it.
 */
export function evaluate(world: World, packet: Packet, now: number): Verdict {
  const { from, to, family } = packet;
  if (leavesUnseen(packet)) return { verdict: 'untouched' };
  if (family === 6 && [from.kind, to.kind].some((kind) => kind === 'tunnel' || kind === 'mesh'))
    return denied('ipv6-inside');
  if (from.kind === 'tunnel') return fromDevice(world, packet, now);
  if (from.kind === 'node') return fromNode(world, packet);
  if (to.kind === 'tunnel') return fromOutside(world, packet);
  if (from.kind === 'mesh') return fromMesh(world, packet);
  if (to.kind === 'mesh') return betweenOutsiders(packet);
  return atInterface(world, packet, from.name);
}

function fromDevice(world: World, packet: Packet, now: number): Verdict {
  const { phase, protocol, source } = packet;
  const way = wayOf(world, packet);
  const device = world.devices.get(source);
  if (phase === 'reply' || phase === 'error') return comingBack(world, packet, way, device, now);
  if (device === undefined) return denied('not-a-device');
  /** No flow, no redirection. */
  if (toNoDevice(world, packet, phase === 'stray' ? { kind: 'device' } : way)) return denied('no-such-device');
  if (phase === 'stray') return { ...denied('no-known-flow'), reset: protocol === 'tcp' };
  const verdict = judge(world, packet, way, device, now);
  return verdict.verdict === 'denied' ? { ...verdict, reset: protocol === 'tcp' && phase === 'further' } : verdict;
}

/** Back into the tunnel goes only what is for a device. A front's backend lies elsewhere. */
function toNoDevice(world: World, { to, destination }: Packet, way: Way): boolean {
  const redirected = way.kind === 'front' && way.backend !== undefined;
  return to.kind === 'tunnel' && !redirected && !world.devices.has(destination);
}

/**
 * What comes back passes while the device is one: the flow was let in, and its own next packet is judged again. Where a
 * place is granted to anyone for a time only, what comes back is judged too, so that a server that only sends
 * cannot outlive the grant.
 */
function comingBack(world: World, packet: Packet, way: Way, device: Principal | undefined, now: number): Verdict {
  const forwarded = packet.to.kind !== 'node' || (way.kind === 'front' && way.backend !== undefined);
  if (!forwarded) return { verdict: 'untouched' };
  if (device === undefined || toNoDevice(world, packet, way)) return denied('not-a-device');
  const timed = world.allows.some(
    ({ until, targets }) =>
      until !== undefined && targets.some(({ value }) => targetMatches(world, value, packet, way)),
  );
  const reply: Verdict = { verdict: 'allowed', by: { kind: 'reply' }, masquerade: false };
  if (!timed || packet.phase === 'error') return reply;
  const verdict = judge(world, packet, way, device, now);
  return verdict.verdict === 'denied' ? verdict : reply;
}

/** The ways a packet from a device can take through a node. */
type Way =
  /** `backend` is set where the port leads on to it, and this node knows the way, itself or through another node. */
  | { readonly kind: 'front'; readonly service: ServiceStatement; readonly backend: NetworkStatement | undefined }
  | { readonly kind: 'node' }
  | { readonly kind: 'device' }
  | { readonly kind: 'network'; readonly network: NetworkStatement }
  | { readonly kind: 'none' };

function wayOf(world: World, packet: Packet): Way {
  const { destination, node, to } = packet;
  const service = world.fronts.get(destination);
  if (service !== undefined) {
    const others = visiblePorts(service).slice(1);
    const network = world.subnets.networkOf(service.address.value);
    const leadsOn =
      others.length > 0 &&
      portsMatch(others, packet) &&
      network !== undefined &&
      (leadsTo(network, node) || placeInMesh(world, node) !== undefined);
    return { kind: 'front', service, backend: leadsOn ? network : undefined };
  }
  if (to.kind === 'node') return { kind: 'node' };
  if (to.kind === 'published') {
    const own = world.roster.nodes.some((one) => one.name === node && one.tunnelAddress === destination);
    return own || destination === world.roster.vip ? { kind: 'node' } : { kind: 'none' };
  }
  if (to.kind === 'tunnel') return { kind: 'device' };
  const network = world.subnets.networkOf(destination);
  if (to.kind === 'mesh')
    return network === undefined || leadsTo(network, node) ? { kind: 'none' } : { kind: 'network', network };
  const here = network?.gateways.some((way) => way.node.value === node && way.device.value === to.name);
  return network !== undefined && here ? { kind: 'network', network } : { kind: 'none' };
}

function leadsTo({ gateways }: NetworkStatement, node: string): boolean {
  return gateways.some((way) => way.node.value === node);
}

function judge(world: World, packet: Packet, way: Way, device: Principal, now: number): Verdict {
  const atFront = way.kind === 'front' && answersPlainly(way.service) ? [frontPort, plainPort] : [frontPort];
  if (way.kind === 'none') return denied('no-way-here');
  if (way.kind === 'front' && way.backend === undefined && !(packet.to.kind === 'node' && portsMatch(atFront, packet)))
    return denied('no-grant');
  if (way.kind === 'node') {
    const { node } = packet;
    const open = world.plumbing.find((one) => (one.node ?? node) === node && portsMatch([one.port], packet));
    if (open !== undefined) return { verdict: 'allowed', by: { kind: 'plumbing', name: open.name }, masquerade: false };
    const line = vpnOnlyLine(world, packet);
    if (line !== undefined) return { verdict: 'allowed', by: { kind: 'line', line }, masquerade: false };
  }
  const isPlain = way.kind === 'front' && way.backend === undefined && portsMatch([plainPort], packet);
  const asked = isPlain ? { ...packet, port: frontPort.first } : packet;
  const matching = world.allows.filter((allow) => allows(world, allow, asked, way, device));
  const open = matching.find(({ until }) => until === undefined || until.value.at > now);
  if (open === undefined) {
    const [runOut] = matching;
    return runOut === undefined ? denied('no-grant') : { ...denied('run-out'), line: runOut.line };
  }
  const by = { kind: 'line', line: open.line } as const;
  if (way.kind === 'network')
    return { verdict: 'allowed', by, masquerade: way.network.nat || !leadsTo(way.network, packet.node) };
  if (way.kind === 'front' && way.backend !== undefined)
    return {
      verdict: 'allowed',
      by,
      masquerade: way.backend.nat || !leadsTo(way.backend, packet.node),
      redirectedTo: way.service.address.value,
    };
  return { verdict: 'allowed', by, masquerade: false };
}

function allows(world: World, allow: AllowStatement, packet: Packet, way: Way, device: Principal): boolean {
  return (
    allow.subjects.some(({ value }) => subjectMatches(value, device)) &&
    allow.targets.some(
      ({ value }) => targetMatches(world, value, packet, way) && portsMatch(portsOpened(world, allow, value), packet),
    )
  );
}

function targetMatches(world: World, target: Target, { destination }: Packet, way: Way): boolean {
  switch (way.kind) {
    case 'front':
      return target.kind === 'named' && target.name === way.service.name.value;
    case 'node':
      return target.kind === 'nodes';
    case 'device':
      return target.kind === 'devices';
    case 'network': {
      if (target.kind === 'literal') return cidrContains(target.cidr, destination);
      if (target.kind !== 'named') return false;
      const service = world.services.get(target.name);
      if (service === undefined) return target.name === way.network.name.value;
      return service.front === undefined && service.address.value === destination;
    }
    case 'none':
      return false;
  }
}

/** A line without ports opens all there are; for a service, all it has. */
function portsOpened(world: World, allow: AllowStatement, target: Target): readonly Port[] {
  const service = target.kind === 'named' ? world.services.get(target.name) : undefined;
  if (allow.ports.length > 0) return allow.ports.map(({ value }) => value);
  return service === undefined ? [] : visiblePorts(service);
}

function vpnOnlyLine(world: World, packet: Packet, device?: string): number | undefined {
  return world.vpnOnly.find(
    (statement) =>
      statement.node.value === packet.node &&
      (device === undefined || statement.device.value === device) &&
      portsMatch(
        statement.ports.map(({ value }) => value),
        packet,
      ),
  )?.line;
}

/** What a node sends is its own affair, and so is what it answers. */
function leavesUnseen({ from, to, phase, family }: Packet): boolean {
  const answer = phase === 'reply' || phase === 'error';
  if (from.kind === 'node') return !answer;
  return family === 6 && answer && to.kind === 'node';
}

/** What comes back to a node from the tunnel comes from a device. */
function fromNode(world: World, { to, destination }: Packet): Verdict {
  if (to.kind === 'mesh') return { verdict: 'allowed', by: { kind: 'reply' }, masquerade: false };
  if (to.kind !== 'tunnel') return { verdict: 'untouched' };
  if (!world.devices.has(destination)) return denied('not-a-device');
  return { verdict: 'allowed', by: { kind: 'reply' }, masquerade: false };
}

/** Nobody outside begins a flow to a device; a device that answers one is told that there is none. */
function fromOutside(world: World, { phase, protocol, destination }: Packet): Verdict {
  const answer = phase === 'reply' || phase === 'error';
  if (answer && !world.devices.has(destination)) return denied('not-a-device');
  return { ...denied('begun-outside'), reset: phase === 'reply' && protocol === 'tcp' };
}

/**
 * From another node: what it has to say to this one, and what it has judged and this one leads on. Whatever comes back
 * from a network goes out to the mesh; no network begins anything there.
 */
function fromMesh(world: World, packet: Packet): Verdict {
  const { node, to, source, destination, protocol, phase } = packet;
  const own = placeInMesh(world, node);
  const isFromNode = own !== undefined && cidrContains(own.cidr, source);
  if (phase === 'reply' || phase === 'error') {
    if (to.kind === 'node') return { verdict: 'untouched' };
    if (to.kind === 'mesh') return betweenOutsiders(packet);
    return { verdict: 'allowed', by: { kind: 'reply' }, masquerade: false };
  }
  const by = { kind: 'mesh' } as const;
  if (to.kind === 'node') {
    const isKnown =
      protocol === 'vrrp' ||
      (protocol === 'icmp' && packet.icmpType === echoRequest) ||
      ((protocol === 'tcp' || protocol === 'udp') && packet.port === agentPort && destination === own?.address);
    if (isFromNode && isKnown) return { verdict: 'allowed', by, masquerade: false };
    return denied('not-between-nodes');
  }
  const network = world.subnets.networkOf(destination);
  const here = network?.gateways.some(
    (way) => way.node.value === node && to.kind === 'interface' && way.device.value === to.name,
  );
  if (isFromNode && here && phase !== 'stray') return { verdict: 'allowed', by, masquerade: true };
  // What belongs to no flow is redirected nowhere, and so comes to the node itself.
  const isForwarded = to.kind !== 'published' || phase === 'further';
  return { ...denied('not-between-nodes'), reset: protocol === 'tcp' && phase !== 'first' && isForwarded };
}

/** Nobody but devices and nodes goes over the mesh; a node that answers is told that there is no flow. */
function betweenOutsiders({ phase, protocol }: Packet): Verdict {
  return { ...denied('not-between-nodes'), reset: phase === 'reply' && protocol === 'tcp' };
}

/** Packets that never see the tunnel: only what a line closes, and the fronts, which are for the tunnel alone. */
function atInterface(world: World, packet: Packet, device: string): Verdict {
  const { phase, to, family, destination } = packet;
  if (phase === 'reply' || phase === 'error' || to.kind === 'interface') return { verdict: 'untouched' };
  const line = vpnOnlyLine(world, packet, device);
  if (line !== undefined) return { ...denied('vpn-only'), line };
  const atNode = to.kind === 'node' || phase === 'stray';
  if (family === 4 && atNode && isInside(world, packet.node, destination)) return denied('inside-from-outside');
  return { verdict: 'untouched' };
}

/** An address that this node answers at inside the tunnel or the mesh. Nobody outside may speak to it in a device's name. */
function isInside({ fronts, roster }: World, node: string, address: Ipv4): boolean {
  const own = roster.nodes.find(({ name }) => name === node);
  return [own?.tunnelAddress, own?.mesh?.address, roster.vip].includes(address) || fronts.has(address);
}

function denied(because: Denial): Extract<Verdict, { verdict: 'denied' }> {
  return { verdict: 'denied', because, reset: false };
}
