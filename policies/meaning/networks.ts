import type { BundleNetwork } from '#contract/bundle.ts';
import type { Cidr } from '#contract/network.ts';
import type { Front } from '#contract/policy.ts';
import { writtenSubject } from '#policies/language/format-statement.ts';
import type { NetworkStatement, Subject, Target } from '#policies/language/statement.ts';
import { partsOf } from './access.ts';
import { cidrsOf } from './region.ts';
import { type Principal, subjectsOf, type World } from './world.ts';

/** Where a line leads, whatever nodes there are and whichever address a front has. */
export type Way =
  | { readonly kind: 'devices' }
  | { readonly kind: 'front'; readonly service: string }
  | { readonly kind: 'network'; readonly network: BundleNetwork };

/** What one line grants: to where, and until when (Unix milliseconds). */
export interface Grant {
  readonly line: number;
  readonly end: number | null;
  readonly ways: readonly Way[];
}

/** The grants of a document by the spelling of each subject they name. Plain data, and of the document alone. */
export type Grants = readonly (readonly [subject: string, grants: readonly Grant[]])[];

/** What a document does not say: where the devices, the nodes and the fronts are. */
export interface Surroundings {
  readonly pool: Cidr;
  readonly nodes: readonly { readonly name: string }[];
  readonly fronts: readonly Front[];
}

export function grantsOf({ allowsBySubject, ...world }: World): Grants {
  const ways = new Map<number, Grant>();
  const grantOf = (allow: World['allows'][number]): Grant => {
    const known = ways.get(allow.line);
    if (known !== undefined) return known;
    const grant = {
      line: allow.line,
      end: allow.until?.value.at ?? null,
      ways: allow.targets.flatMap(({ value }) => waysTo(world, value)),
    };
    ways.set(allow.line, grant);
    return grant;
  };
  return [...allowsBySubject].map(([subject, allows]) => [subject, allows.map(grantOf)] as const);
}

/** Where a device's tunnel leads: by what its role and everyone are granted, and what lines of its own add to that. */
export interface NetworkParts {
  /** One and the same value for all devices with the same roles. */
  readonly shared: readonly BundleNetwork[];
  readonly own: readonly BundleNetwork[];
}

/** Answers where devices' tunnels lead. Made once for many devices: most of them share all that they are granted. */
export class Networks {
  readonly #grants: ReadonlyMap<string, readonly Grant[]>;
  readonly #fronts: ReadonlyMap<string, string>;
  readonly #around: Surroundings;
  readonly #now: number;
  readonly #shared = new Map<
    string,
    { readonly places: readonly BundleNetwork[]; readonly keys: ReadonlySet<string> }
  >();

  /** `now` in Unix milliseconds: what has run out is no longer among the answers. */
  constructor(grants: ReadonlyMap<string, readonly Grant[]>, around: Surroundings, now: number) {
    this.#grants = grants;
    this.#around = around;
    this.#fronts = new Map(around.fronts.map(({ service, address }) => [service, address]));
    this.#now = now;
  }

  /** The places a device's tunnel leads to, with the nodes that lead there, each once. */
  of(principal: Principal): readonly BundleNetwork[] {
    const { shared, own } = this.partsOf(principal);
    return [...shared, ...own];
  }

  /** The same in two parts: what everyone is granted and the roles, then the rest, each in the order of the document. */
  partsOf({ roles, ...person }: Principal): NetworkParts {
    const shared = this.#sharedBy(roles);
    const own = subjectsOf({ ...person, roles: noRoles }).filter(({ kind }) => kind !== 'everyone');
    return { shared: shared.places, own: this.#placesFor(own).filter((place) => !shared.keys.has(keyOf(place))) };
  }

  #sharedBy(roles: ReadonlySet<string>) {
    const key = [...roles].join(' ');
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const places = this.#placesFor(subjectsOf({ roles }));
    const shared = { places, keys: new Set(places.map(keyOf)) };
    this.#shared.set(key, shared);
    return shared;
  }

  #placesFor(subjects: readonly Subject[]): BundleNetwork[] {
    const lines = new Map(
      subjects
        .flatMap((subject) => this.#grants.get(writtenSubject(subject)) ?? [])
        .map((grant) => [grant.line, grant] as const),
    );
    const places = [...lines.values()]
      .filter(({ end }) => end === null || end > this.#now)
      .sort((a, b) => a.line - b.line)
      .flatMap(({ ways }) => ways.flatMap((way) => this.#placesOf(way)));
    return [...new Map(places.map((place) => [keyOf(place), place])).values()];
  }

  #placesOf(way: Way): BundleNetwork[] {
    if (way.kind === 'network') return [way.network];
    const nodes = this.#around.nodes.map(({ name }) => name);
    if (way.kind === 'devices') return [{ name: 'devices', cidr: this.#around.pool, nodes }];
    const address = this.#fronts.get(way.service);
    return address === undefined ? [] : [{ name: way.service, cidr: `${address}/32`, nodes }];
  }
}

const noRoles: ReadonlySet<string> = new Set();

function keyOf({ name, cidr }: BundleNetwork): string {
  return `${name} ${cidr}`;
}

function waysTo(world: Pick<World, 'networks' | 'services' | 'subnets' | 'inside'>, target: Target): Way[] {
  switch (target.kind) {
    case 'devices':
      return [{ kind: 'devices' }];
    case 'nodes':
      return [];
    case 'literal':
      return literalWays(world, target.cidr);
    case 'named': {
      const network = world.networks.get(target.name);
      if (network !== undefined) return [wayInto(network, network.name.value, network.cidr.value)];
      const service = world.services.get(target.name);
      if (service === undefined) return [];
      if (service.front !== undefined) return [{ kind: 'front', service: target.name }];
      const around = world.subnets.networkOf(service.address.value);
      return around === undefined ? [] : [wayInto(around, target.name, `${service.address.value}/32`)];
    }
  }
}

/** A literal may reach into networks inside its own; each part goes by the nodes of the network it belongs to. */
function literalWays(world: Pick<World, 'subnets' | 'inside'>, cidr: Cidr): Way[] {
  const holder = world.subnets.holderOf(cidr);
  return partsOf(world, cidr).flatMap(({ network, region }) => {
    const cidrs = network === holder ? [cidr] : cidrsOf(region);
    return cidrs.map((part) => wayInto(network, network.name.value, part));
  });
}

function wayInto(network: NetworkStatement, name: string, cidr: Cidr): Way {
  return { kind: 'network', network: { name, cidr, nodes: network.gateways.map(({ node }) => node.value) } };
}
