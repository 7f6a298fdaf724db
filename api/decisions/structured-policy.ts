import { type Cidr, cidrRange } from '#contract/network.ts';
import type { Gateway } from '#contract/policy.ts';
import { parseLine } from '#policies/language/parse.ts';
import { reservedWords } from '#policies/language/words.ts';

/** The policy as databases kept it before it was a document. */
export type StructuredPolicy = {
  readonly roles: readonly { readonly name: string; readonly includes: readonly string[] }[];
  readonly networks: readonly Network[];
  readonly grants: readonly {
    readonly role: string;
    readonly target: { readonly kind: 'devices' } | { readonly kind: 'network'; readonly network: string };
  }[];
};

type Network = {
  readonly name: string;
  readonly cidr: Cidr;
  readonly gateways: readonly Gateway[];
  readonly nat: boolean;
};

/**
 * The document that means what a structured policy meant. A network whose name has become a word of the language gets
 * another; of one subnet named twice, one network is made; and a grant to a network is written for those inside it too,
 * where they lie behind the same interface, since the document would keep them apart. What cannot be said, such as a
 * multicast subnet, becomes a comment and is closed.
 */
export function documentOf({ roles, networks, grants }: StructuredPolicy): string {
  const named = renamed(merged(networks));
  const kept = named.filter(({ line }) => readable(line));
  const placeOf = (name: string) => kept.find(({ of }) => of.includes(name));
  const lines = grants.flatMap(({ role, target }) => {
    if (target.kind === 'devices') return [`allow ${role} -> devices`];
    const place = placeOf(target.network);
    if (place === undefined) return [];
    return [place, ...kept.filter((other) => liesInside(other, place))].map(({ name }) => `allow ${role} -> ${name}`);
  });
  return [
    '# Made from the policy of an earlier version, with the same meaning. The language: policies/language/grammar.md',
    '',
    ...roles.map(
      ({ name, includes }) => `role ${name}${includes.length === 0 ? '' : ` includes ${includes.join(', ')}`}`,
    ),
    '',
    ...named.map((place) =>
      kept.includes(place) ? place.line : `# closed, since no tunnel leads there: ${place.line}`,
    ),
    ...(named.length === 0 ? [] : ['']),
    ...new Set(lines),
    '',
  ].join('\n');
}

type Place = Network & { readonly of: readonly string[] };

/** One network for each subnet; a node leads there once. */
function merged(networks: readonly Network[]): Place[] {
  const bySubnet = new Map<Cidr, Place>();
  for (const network of networks) {
    const first = bySubnet.get(network.cidr) ?? { ...network, gateways: [], of: [] };
    const more = network.gateways.filter(({ node }) => !first.gateways.some((gateway) => gateway.node === node));
    bySubnet.set(network.cidr, {
      ...first,
      gateways: [...first.gateways, ...more],
      of: [...first.of, network.name],
    });
  }
  return [...bySubnet.values()];
}

function renamed(places: readonly Place[]): (Place & { line: string })[] {
  const taken = new Set<string>(places.map(({ name }) => name));
  return places.map((place) => {
    let name = place.name;
    for (let n = 1; reservedWords.has(name) || (name !== place.name && taken.has(name)); n++) name = `net-${n}`;
    taken.add(name);
    const ways = place.gateways.map(({ node, device }) => `${node} dev ${device}`).join(', ');
    return { ...place, name, line: `network ${name} = ${place.cidr} via ${ways}${place.nat ? '' : ' no-nat'}` };
  });
}

function readable(line: string): boolean {
  return parseLine(line, 1).line.statement !== undefined;
}

/** Inside, and behind an interface that the outer one lies behind: from there packets to it were let through. */
function liesInside(inner: Network, outer: Network): boolean {
  const [a, b] = [cidrRange(inner.cidr), cidrRange(outer.cidr)];
  return (
    a.prefix > b.prefix &&
    b.first <= a.first &&
    a.last <= b.last &&
    inner.gateways.some((way) => outer.gateways.some(({ node, device }) => way.node === node && way.device === device))
  );
}
