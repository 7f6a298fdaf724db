import type { BundleNetwork } from '#contract/bundle.ts';
import type { Cidr } from '#contract/network.ts';
import type { NetworkStatement, Target } from '#policies/language/statement.ts';
import { partsOf } from './access.ts';
import { cidrsOf } from './region.ts';
import { allowsFor, type Principal, type World } from './world.ts';

/**
 * The places a device's tunnel leads to, with the nodes that lead there, in the order of the document. What has run out
 * is not among them, so a bundle changes when a grant ends: see {@link nextEnd}.
 */
export function networksFor(world: World, principal: Principal, now: number): readonly BundleNetwork[] {
  const places = allowsFor(world, principal)
    .filter(({ until }) => until === undefined || until.value.at > now)
    .flatMap(({ targets }) => targets.flatMap(({ value }) => placesOf(world, value)));
  return [...new Map(places.map((place) => [`${place.name} ${place.cidr}`, place])).values()];
}

/** The next moment after `now` at which any grant ends, in Unix milliseconds. */
export function nextEnd(world: World, now: number): number | undefined {
  const ends = world.allows.flatMap(({ until }) =>
    until !== undefined && until.value.at > now ? [until.value.at] : [],
  );
  return ends.length === 0 ? undefined : Math.min(...ends);
}

function placesOf(world: World, target: Target): BundleNetwork[] {
  const everyNode = world.roster.nodes.map(({ name }) => name);
  switch (target.kind) {
    case 'devices':
      return [{ name: 'devices', cidr: world.roster.pool, nodes: everyNode }];
    case 'nodes':
      return [];
    case 'literal':
      return literalPlaces(world, target.cidr);
    case 'named': {
      const network = world.networks.get(target.name);
      if (network !== undefined) return [placeIn(network, network.name.value, network.cidr.value)];
      const service = world.services.get(target.name);
      if (service === undefined) return [];
      const front = world.frontAddresses.get(target.name);
      if (front !== undefined) return [{ name: target.name, cidr: `${front}/32`, nodes: everyNode }];
      const around = world.subnets.networkOf(service.address.value);
      if (service.front !== undefined || around === undefined) return [];
      return [placeIn(around, target.name, `${service.address.value}/32`)];
    }
  }
}

/** A literal may reach into networks inside its own; each part goes by the nodes of the network it belongs to. */
function literalPlaces(world: World, cidr: Cidr): BundleNetwork[] {
  const holder = world.subnets.holderOf(cidr);
  return partsOf(world, cidr).flatMap(({ network, region }) => {
    const cidrs = network === holder ? [cidr] : cidrsOf(region);
    return cidrs.map((part) => placeIn(network, network.name.value, part));
  });
}

function placeIn(network: NetworkStatement, name: string, cidr: Cidr): BundleNetwork {
  return { name, cidr, nodes: network.gateways.map(({ node }) => node.value) };
}
