import type { Bundle } from '#contract/bundle.ts';
import type { Name } from '#contract/name.ts';
import type { Cidr } from '#contract/network.ts';
import { byRank, type NodeView } from './choose.ts';

/** What decides who gets what; nothing is known of nodes without a view. */
export type Standing = { current: Name | undefined; views: readonly NodeView[] };

/**
 * The node that has each subnet of this device, the address that moves among them.
 *
 * The current node has all that it leads to. What it does not lead to, or says that it cannot reach, goes to the most
 * preferred gateway that answers; with none the current node passes it on to one, over the mesh of the nodes.
 */
export function ownersOf(bundle: Bundle, { current, views }: Standing): ReadonlyMap<Cidr, Name> {
  const { networks, nodes, vip } = bundle;
  const names = new Set(nodes.map(({ name }) => name));
  const ranked = byRank(nodes).map(({ name }) => name);
  const here = current !== undefined && names.has(current) ? current : ranked[0];
  const viewOf = (name: Name) => views.find((view) => view.name === name);
  const owners = new Map<Cidr, Name>();
  if (here === undefined) return owners;
  if (vip !== undefined) owners.set(`${vip}/32`, here);
  for (const [cidr, leads] of gatewaysOf(networks)) {
    const gateways = ranked.filter((name) => leads.has(name));
    const cannot = (name: Name) => viewOf(name)?.answer?.unreachable?.some((lost) => leads.get(name)?.has(lost));
    const answers = (name: Name) => viewOf(name)?.answer !== undefined && viewOf(name)?.isSilent === false;
    // Where the nodes have no mesh nobody passes anything on, so it is left with whom it should be.
    const lastResort = vip === undefined && !gateways.includes(here) ? gateways[0] : here;
    const owner =
      gateways.includes(here) && !cannot(here) ? here : gateways.find((name) => answers(name) && !cannot(name));
    if (gateways.length > 0) owners.set(cidr, owner ?? lastResort ?? here);
  }
  return owners;
}

/** Where a device begins before any node has answered: with the most preferred of those that know it, if any does. */
export function startingNode({ nodes }: Pick<Bundle, 'nodes'>, reached: ReadonlySet<Name>): Name | undefined {
  const ranked = byRank(nodes);
  const known = ranked.filter(({ name }) => reached.has(name));
  return (known.find(({ draining }) => draining !== true) ?? known[0] ?? ranked[0])?.name;
}

/** The nodes that lead to each subnet, and by what names of networks. */
function gatewaysOf(networks: Bundle['networks']): ReadonlyMap<Cidr, ReadonlyMap<Name, ReadonlySet<Name>>> {
  const leadsTo = new Map<Cidr, Map<Name, Set<Name>>>();
  for (const { cidr, name, nodes } of networks) {
    const gateways = leadsTo.get(cidr) ?? new Map<Name, Set<Name>>();
    for (const node of nodes) gateways.set(node, new Set([...(gateways.get(node) ?? []), name]));
    leadsTo.set(cidr, gateways);
  }
  return leadsTo;
}
