import type { SavedRules, SavedTable, TableChange } from '../formats/iptables-save.ts';
import { loopback, type ObservedLink } from './interface.ts';
import type { NodeSelf, ObservedNode, Step } from './node.ts';
import type { PeerStep, PlannedPeer } from './peers.ts';
import type { ObservedSet } from './sets.ts';

/**
 * What will be observed once the steps are done, provided nobody else interferes.
 *
 * With it a change can be planned from the last look, without looking again before it acts; the look that follows
 * finds out if this was wrong.
 */
export function afterSteps(
  observed: ObservedNode,
  steps: readonly Step[],
  self: Pick<NodeSelf, 'interface' | 'publicKey' | 'mesh'>,
): ObservedNode {
  const sets = new Map(observed.firewall.sets.map((set) => [set.name, { ...set, elements: new Map(set.elements) }]));
  const rules = { ...observed.firewall.rules };
  const forwarding = new Map(observed.tunnel.forwarding);
  const found = new Map(observed.foundForwarding);
  const tunnel = model(observed.tunnel.link, observed.peers);
  const mesh = model(observed.mesh.link, observed.mesh.peers);
  const on = (name: string) => (name === self.mesh.interface ? mesh : tunnel);
  let held = observed.tunnel.held;
  let routes = observed.mesh.routes;
  let { picksUpFlows } = observed.tunnel;

  for (const step of steps) {
    switch (step.kind) {
      case 'create-set':
        sets.set(step.set, emptySet(step.set, step.definition));
        break;
      case 'destroy-set':
        sets.delete(step.set);
        break;
      case 'add-element':
        sets.get(step.set)?.elements.set(step.element, step.until);
        break;
      case 'remove-element':
        sets.get(step.set)?.elements.delete(step.element);
        break;
      case 'restore-rules':
        rules[step.family] = afterChanges(rules[step.family] ?? new Map(), step.changes);
        break;
      case 'create-interface':
        on(step.on).link = { publicKey: '', listenPort: 0, addresses: [], mtu: 0, isUp: false };
        on(step.on).peers.clear();
        forwarding.set(step.on, false);
        if (step.on === self.mesh.interface) routes = [];
        break;
      case 'remove-interface':
        on(step.on).link = undefined;
        on(step.on).peers.clear();
        forwarding.delete(step.on);
        if (step.on === self.mesh.interface) routes = [];
        break;
      case 'configure-wireguard':
        change(on(step.on), (link) => ({
          ...link,
          publicKey: step.on === self.mesh.interface ? self.mesh.publicKey : self.publicKey,
          listenPort: step.listenPort,
        }));
        break;
      case 'set-mtu':
        change(on(step.on), (link) => ({ ...link, mtu: step.mtu }));
        break;
      case 'add-interface-address':
        if (step.on === loopback) held = [...held, step.address];
        else change(on(step.on), (link) => ({ ...link, addresses: [...link.addresses, step.address] }));
        break;
      case 'remove-interface-address': {
        const others = (addresses: readonly string[]) => addresses.filter((address) => address !== step.address);
        if (step.on === loopback) held = others(held);
        else change(on(step.on), (link) => ({ ...link, addresses: others(link.addresses) }));
        break;
      }
      case 'bring-up':
        change(on(step.on), (link) => ({ ...link, isUp: true }));
        break;
      case 'set-forwarding':
        if (step.device !== self.interface && step.device !== self.mesh.interface && !found.has(step.device))
          found.set(step.device, forwarding.get(step.device) ?? false);
        forwarding.set(step.device, step.enabled);
        break;
      case 'pick-up-flows':
        picksUpFlows = step.enabled;
        break;
      case 'remove-peer':
        on(step.on).peers.delete(step.publicKey);
        break;
      case 'set-peer':
        setPeer(on(step.on).peers, step);
        break;
      case 'add-route':
        routes = [...routes, step.cidr];
        break;
      case 'remove-route':
        routes = routes.filter((cidr) => cidr !== step.cidr);
        break;
    }
  }
  return {
    firewall: { sets: [...sets.values()], rules },
    tunnel: { link: tunnel.link, forwarding, picksUpFlows, held },
    peers: [...tunnel.peers.values()],
    mesh: { link: mesh.link, peers: [...mesh.peers.values()], routes },
    foundForwarding: found,
  };
}

type ModelInterface = { link: ObservedLink | undefined; readonly peers: Map<string, PlannedPeer> };

function model(link: ObservedLink | undefined, peers: readonly PlannedPeer[]): ModelInterface {
  return { link, peers: new Map(peers.map((peer) => [peer.publicKey, peer])) };
}

function change(one: ModelInterface, how: (link: ObservedLink) => ObservedLink): void {
  if (one.link !== undefined) one.link = how(one.link);
}

/** An allowed IP belongs to one peer: the kernel takes it from whoever had it. */
function setPeer(peers: ModelInterface['peers'], step: Extract<PeerStep, { kind: 'set-peer' }>): void {
  const { publicKey, allowedIps } = step;
  for (const [key, peer] of peers)
    if (key !== publicKey && peer.allowedIps.some((cidr) => allowedIps.includes(cidr)))
      peers.set(key, { ...peer, allowedIps: peer.allowedIps.filter((cidr) => !allowedIps.includes(cidr)) });
  const keepalive = step.keepalive ?? peers.get(publicKey)?.keepalive;
  peers.set(publicKey, { publicKey, allowedIps, ...(keepalive === undefined ? {} : { keepalive }) });
}

function emptySet(name: string, definition: string): ObservedSet & { elements: Map<string, number | undefined> } {
  const [type = '', ...options] = definition.split(' ');
  return { name, type, options: options.join(' '), elements: new Map() };
}

function afterChanges(before: SavedRules, changes: readonly TableChange[]): SavedRules {
  const tables = new Map<string, SavedTable>(before);
  for (const { table, chains, removedChains, deletions, jumps } of changes) {
    const after = new Map<string, readonly string[]>(tables.get(table) ?? builtin(table));
    for (const { name, rules } of chains) after.set(name, rules);
    for (const { chain, rule } of deletions) {
      const rules = [...(after.get(chain) ?? [])];
      const place = rules.indexOf(rule);
      if (place >= 0) rules.splice(place, 1);
      after.set(chain, rules);
    }
    for (const { hook, chain } of jumps) after.set(hook, [`-j ${chain}`, ...(after.get(hook) ?? [])]);
    for (const name of removedChains) after.delete(name);
    tables.set(table, after);
  }
  return tables;
}

function builtin(table: string): SavedTable {
  const names = { nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'], filter: ['INPUT', 'FORWARD', 'OUTPUT'] }[
    table
  ];
  const all = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'];
  return new Map((names ?? all).map((name) => [name, []]));
}
