import { cidrContains, cidrRange, numberToIpv4 } from '#contract/network.ts';
import type { Dice } from '#policies/compile/fixture/dice.ts';
import {
  type Aim,
  type Around,
  aimed,
  anyAim,
  anyTraffic,
  atClosed,
  beside,
  closedPorts,
  trafficOn,
} from '#policies/compile/fixture/random-aim.ts';
import type { Packet } from '#policies/meaning/packet.ts';
import type { World } from '#policies/meaning/world.ts';
import type { Probe } from '../wire/packet.ts';
import { container, type Ground, ipv6, type Party, published } from './policy-ground.ts';
import type { PolicyNode, TunnelDevice } from './policy-node.ts';

/** A packet that is sent, as the wire and as the policy have it, and where the node's own routes take it. */
export type Attempt = {
  kinds: readonly Kind[];
  from: Party;
  probe: Omit<Probe, 'token' | 'sourcePort'>;
  packet: Packet;
  /** Who is there, if anyone: `node` is the node itself, which tells by its answer. */
  to: Party | 'node' | undefined;
};

export const kinds = [
  ...['tcp', 'udp', 'icmp', 'other', 'ipv6'],
  ...['network', 'device', 'node', 'front', 'published', 'hairpin', 'spoofed', 'stray', 'outside', 'vpn_only'],
  ...['further', 'answer'],
] as const;
export type Kind = string;

/** A device that sends what is not its own: its peer on the node was given the address of another, and all the rest. */
export type Forced = { spoofer: TunnelDevice; victim: TunnelDevice };

export class Packets {
  private readonly ground: Ground;
  private readonly node: PolicyNode;
  private readonly around: Around;

  constructor(ground: Ground, node: PolicyNode) {
    this.ground = ground;
    this.node = node;
    this.around = {
      nodeAddresses: [...this.nodesOwn(), publicAddress],
      strangers: [unusedAddress(node), '198.51.100.9', node.roster.nodes[0]?.tunnelAddress ?? publicAddress],
      elsewhere: [elsewhere, unusedAddress(node)],
    };
  }

  /** From a device, at what a line opens or close to it. Undefined where the kernel itself would have a say. */
  fromDevice(dice: Dice, world: World): Attempt | undefined {
    const { node, around } = this;
    const aim = dice.chance(8)
      ? atClosed(dice, world, node.name, around)
      : dice.chance(85)
        ? aimed(dice, world, node.name, around)
        : anyAim(dice, world, node.name, around);
    const missed = dice.chance(30) ? beside(dice, world, aim, around) : aim;
    const device = node.devices.find(({ address }) => address === missed.source);
    if (device === undefined) return undefined;
    const hairpin = dice.chance(4) ? { destination: dice.pick([device.address, publicAddress]) } : {};
    const stray = missed.protocol === 'tcp' && dice.chance(15);
    return this.attempt(world, device.party, { ...missed, ...hairpin }, stray ? 'stray' : 'first');
  }

  /** From a device, with a source that is not its own or over IPv6. */
  forced(dice: Dice, world: World, { spoofer, victim }: Forced): Attempt | undefined {
    if (dice.chance(30)) return this.overIpv6(dice, spoofer);
    const aim = dice.chance(70)
      ? { ...aimed(dice, world, this.node.name, this.around), ...(dice.chance(80) ? { source: victim.address } : {}) }
      : anyAim(dice, world, this.node.name, this.around);
    const own = this.node.devices.some(({ address }) => address === aim.source);
    const foreign = [...this.around.strangers, this.node.roster.vip ?? publicAddress, '172.19.0.10'];
    const source = own && aim.source !== victim.address ? dice.pick([victim.address, ...foreign]) : aim.source;
    // What is for the victim now comes to the one who has its address.
    if (aim.destination === victim.address) return undefined;
    const stray = aim.protocol === 'tcp' && dice.chance(25);
    const attempt = this.attempt(world, spoofer.party, { ...aim, source }, stray ? 'stray' : 'first');
    return attempt && { ...attempt, kinds: [...attempt.kinds, 'spoofed'] };
  }

  /** From what is not the tunnel. */
  fromElsewhere(dice: Dice, world: World): Attempt | undefined {
    const { ground, node } = this;
    const closed = closedPorts(world, node.name);
    const target = closed.length > 0 && dice.chance(60) ? dice.pick(closed) : undefined;
    const traffic = target === undefined ? anyTraffic(dice) : trafficOn(dice, target.port);
    const site = dice.pick(ground.sites);
    const [party, device, source] = dice.chance(60)
      ? ([ground.outside, 'eth0', gateway] as const)
      : ([site.party, site.device, numberToIpv4(cidrRange(site.cidr).first + 2 + dice.roll(200))] as const);
    const at = dice.roll(10);
    if (at < 2 && device === 'eth0')
      return this.probeIpv6(party, `${ipv6.outside}a`, `${ipv6.outside}1`, 'node', { ...traffic }, ['outside'], device);
    const destination =
      at < 4
        ? dice.pick(node.devices).address
        : at < 5
          ? dice.pick([...world.fronts.keys(), publicAddress])
          : device === 'eth0'
            ? publicAddress
            : site.nodeAddress;
    return this.attempt(world, party, { ...traffic, source, destination }, 'first', device);
  }

  /** The same flow's next packet. `acknowledges` is what the other side said last. */
  further(world: World, attempt: Attempt, acknowledges: number): Attempt {
    const packet: Packet = { ...attempt.packet, phase: 'further' };
    const probe = { ...attempt.probe, tcp: 'goes-on', acknowledges } as const;
    return { ...attempt, probe, packet, kinds: [...this.kindsOf(world, packet), 'further'] };
  }

  private attempt(world: World, from: Party, aim: Aim, phase: 'first' | 'stray', device?: string): Attempt | undefined {
    const { destination, protocol, port } = aim;
    if (unobservable(aim) || this.leadsAstray(world, destination)) return undefined;
    const way = this.wayTo(destination, protocol, port, device === undefined);
    const packet: Packet = {
      node: this.node.name,
      family: 4,
      from: device === undefined ? { kind: 'tunnel' } : { kind: 'interface', name: device },
      to: way,
      ...aim,
      phase,
    };
    const tcp = phase === 'stray' ? 'goes-on' : 'opens';
    const probe = { ...aim, family: 4, tcp, acknowledges: 0 } as const;
    return { kinds: this.kindsOf(world, packet), from, probe, packet, to: this.at(way, destination) };
  }

  /** A front whose backend the document has behind another interface than the node's routes: nothing arrives there. */
  private leadsAstray(world: World, destination: string): boolean {
    const backend = world.fronts.get(destination)?.address.value;
    const network = backend === undefined ? undefined : world.subnets.networkOf(backend);
    if (backend === undefined || network === undefined) return false;
    return network.gateways.every(({ device }) => device.value !== this.routeTo(backend));
  }

  private overIpv6(dice: Dice, spoofer: TunnelDevice): Attempt {
    const site = dice.pick(this.ground.sites);
    const other = this.node.devices.findIndex((device) => device !== spoofer);
    const targets = [
      { destination: `${ipv6.tunnel}1`, to: 'node' as const },
      { destination: `${ipv6.sites[site.device]}a`, to: site.party },
      { destination: `${ipv6.outside}a`, to: this.ground.outside },
      { destination: deviceIpv6(other), to: this.node.devices[other]?.party },
    ];
    const { destination, to } = dice.pick(targets);
    const source = deviceIpv6(this.node.devices.indexOf(spoofer));
    return this.probeIpv6(spoofer.party, source, destination, to, anyTraffic(dice), []);
  }

  private probeIpv6(
    from: Party,
    source: string,
    destination: string,
    to: Attempt['to'],
    traffic: Pick<Aim, 'protocol' | 'port' | 'icmpType'>,
    also: readonly Kind[],
    device?: string,
  ): Attempt {
    const way = to === 'node' ? ({ kind: 'node' } as const) : this.wayOfParty(to);
    const packet: Packet = {
      node: this.node.name,
      family: 6,
      from: device === undefined ? { kind: 'tunnel' } : { kind: 'interface', name: device },
      to: way,
      source,
      destination,
      ...traffic,
      phase: 'first',
    };
    const probe = { family: 6, source, destination, ...traffic, tcp: 'opens', acknowledges: 0 } as const;
    return { kinds: [traffic.protocol, 'ipv6', ...also], from, probe, packet, to };
  }

  private wayTo(destination: string, protocol: string, port: number, fromTunnel: boolean): Packet['to'] {
    const { roster } = this.node;
    const own = [
      ...roster.nodes.flatMap(({ tunnelAddress, mesh }) => [
        tunnelAddress,
        ...(mesh === undefined ? [] : [mesh.address]),
      ]),
      ...(roster.vip === undefined ? [] : [roster.vip]),
      ...roster.fronts.map(({ address }) => address),
      ...this.nodesOwn(),
      publicAddress,
    ];
    if (own.includes(destination)) {
      const open = published.some((one) => one.protocol === protocol && one.port === port);
      const front = roster.fronts.some(({ address }) => address === destination);
      // Our rules keep Docker's from a front's address inside the tunnel; outside it is an address like any other.
      return { kind: open && !(front && fromTunnel) ? 'published' : 'node' };
    }
    if (cidrContains(roster.pool, destination)) return { kind: 'tunnel' };
    return { kind: 'interface', name: this.routeTo(destination) };
  }

  /** The interface that the node's own routes choose. */
  routeTo(destination: string): string {
    if (cidrContains(`${container.nodeAddress.replace(/\d+$/, '0')}/24`, destination)) return container.device;
    return this.ground.sites.find(({ cidr }) => cidrContains(cidr, destination))?.device ?? 'eth0';
  }

  /** Who has an address, by way of the node. */
  at(way: Packet['to'], destination: string): Attempt['to'] {
    if (way.kind === 'node') return 'node';
    if (way.kind === 'published') return this.ground.container;
    if (way.kind === 'tunnel') return this.node.devices.find(({ address }) => address === destination)?.party;
    if (way.kind === 'mesh') return undefined;
    if (way.name === container.device) return destination === container.address ? this.ground.container : undefined;
    if (way.name === 'eth0') return this.ground.outside;
    return this.ground.sites.find(({ device }) => device === way.name)?.party;
  }

  /** The address that the node has on an interface: what networks with `nat` see. */
  nodeAddressOn(device: string): string | undefined {
    return this.ground.sites.find((site) => site.device === device)?.nodeAddress;
  }

  private wayOfParty(party: Party | undefined): Packet['to'] {
    const site = this.ground.sites.find((one) => one.party === party);
    if (site !== undefined) return { kind: 'interface', name: site.device };
    return party === this.ground.outside ? { kind: 'interface', name: 'eth0' } : { kind: 'tunnel' };
  }

  private nodesOwn(): string[] {
    return [container.nodeAddress, ...this.ground.sites.map(({ nodeAddress: address }) => address)];
  }

  private kindsOf(world: World, { from, to, source, destination, protocol, port, phase }: Packet): Kind[] {
    const outside = from.kind === 'interface';
    const closed = closedPorts(world, this.node.name).some(
      (one) => 'first' in one.port && one.port.protocol === protocol && one.port.first <= port && port <= one.port.last,
    );
    const way = world.fronts.has(destination) ? 'front' : to.kind === 'tunnel' ? 'device' : to.kind;
    return [
      protocol,
      outside ? 'outside' : way === 'interface' ? 'network' : way,
      ...(closed && (to.kind === 'node' || to.kind === 'published') ? ['vpn_only'] : []),
      ...(!outside && (destination === source || destination === publicAddress) ? ['hairpin'] : []),
      ...(phase === 'stray' ? ['stray'] : []),
    ];
  }
}

const publicAddress = '198.51.100.10';
const gateway = '198.51.100.1';
/** Behind the gateway, which has every address there. */
const elsewhere = '198.18.0.7';

/** An address of the pool that no device has. */
function unusedAddress({ devices }: PolicyNode): string {
  const [first = '10.91.65.1'] = devices.map(({ address }) => address);
  return first.replace(/\d+$/, '250');
}

export function deviceIpv6(index: number): string {
  return `${ipv6.tunnel}${(index + 16).toString(16)}`;
}

/**
 * What no firewall decides: addresses that mean a whole link, and ports of the node at which a program listens that
 * answers nothing to what it does not understand.
 */
function unobservable({ destination, protocol, port }: Aim): boolean {
  if (/\.(?:0|255)$/.test(destination)) return true;
  return protocol === 'udp' && [53, 51_820, 51_830].includes(port) && !destination.startsWith('172.');
}
