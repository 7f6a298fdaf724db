import type { InterfaceName, Ipv4 } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { gatewayDevice } from '#policies/compile/grants.ts';
import type { World } from '#policies/meaning/world.ts';

/** A network that others lead to as well, so that it matters whether this node does. */
export type WatchedNetwork = {
  name: string;
  device: InterfaceName;
  /** All nodes that lead there. */
  gateways: readonly string[];
  /** Where services in it answer TCP; none when the policy names none. */
  backends: readonly { address: Ipv4; port: number }[];
};

/** What a snapshot gives a node to look at. */
export type Watched = {
  priority: number;
  draining: boolean;
  vip: Ipv4 | undefined;
  tunnelAddress: Ipv4;
  /** Interfaces that networks lie behind. */
  devices: readonly InterfaceName[];
  networks: readonly WatchedNetwork[];
  /** A name of the internal domain, where there is one. */
  dnsName: string | undefined;
  /** An address where fronts of services answer, where there are any. */
  front: Ipv4 | undefined;
  /** This node's address in the mesh, and the others' by name. */
  mesh: Ipv4 | undefined;
  others: ReadonlyMap<string, Ipv4>;
  /** Those of the others that are drained, which they may not know yet themselves. */
  drained: ReadonlySet<string>;
};

const mostBackends = 4;

export function watchedBy(snapshot: Snapshot, world: World, name: string): Watched | undefined {
  const node = snapshot.nodes.find((candidate) => candidate.name === name);
  if (node === undefined) return undefined;
  const own = [...world.networks.values()].flatMap((network) => {
    const device = gatewayDevice(network, name);
    return device === undefined ? [] : [{ network, device }];
  });
  const others = snapshot.nodes.flatMap(({ name: other, mesh }) =>
    other === name || mesh === undefined ? [] : [[other, mesh.address] as const],
  );
  return {
    priority: node.priority,
    draining: node.draining === true,
    vip: snapshot.vip,
    tunnelAddress: node.tunnelAddress,
    devices: [...new Set(own.map(({ device }) => device))],
    networks: own
      .filter(({ network }) => network.gateways.length > 1)
      .map(({ network, device }) => ({
        name: network.name.value,
        device,
        gateways: network.gateways.map((gateway) => gateway.node.value),
        backends: backendsIn(world, network.name.value),
      })),
    dnsName: snapshot.dns && `${name}.${snapshot.dns.domain}`,
    front: snapshot.fronts[0]?.address,
    mesh: node.mesh?.address,
    others: node.mesh === undefined ? new Map() : new Map(others),
    drained: new Set(snapshot.nodes.flatMap((other) => (other.draining === true ? other.name : []))),
  };
}

function backendsIn(world: World, network: string): readonly { address: Ipv4; port: number }[] {
  return [...world.services.values()]
    .flatMap(({ address, ports }) => {
      if (world.subnets.networkOf(address.value)?.name.value !== network) return [];
      const tcp = ports.flatMap(({ value }) => (value.protocol === 'tcp' ? value.first : []));
      return tcp[0] === undefined ? [] : [{ address: address.value, port: tcp[0] }];
    })
    .slice(0, mostBackends);
}
