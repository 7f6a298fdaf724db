import type { SavedRules, SavedTable, TableChange } from '../formats/iptables-save.ts';
import type { DesiredInterface } from './interface.ts';
import type { ObservedNode, Step } from './node.ts';
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
  tunnel: Pick<DesiredInterface, 'name' | 'publicKey'>,
): ObservedNode {
  const sets = new Map(observed.firewall.sets.map((set) => [set.name, { ...set, elements: new Map(set.elements) }]));
  const rules = { ...observed.firewall.rules };
  const peers = new Map(observed.peers.map((peer) => [peer.publicKey, peer.allowedIps]));
  const forwarding = new Map(observed.tunnel.forwarding);
  const found = new Map(observed.foundForwarding);
  let { link, picksUpFlows } = observed.tunnel;

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
        link = { publicKey: '', listenPort: 0, addresses: [], mtu: 0, isUp: false };
        peers.clear();
        forwarding.set(tunnel.name, false);
        break;
      case 'configure-wireguard':
        if (link) link = { ...link, publicKey: tunnel.publicKey, listenPort: step.listenPort };
        break;
      case 'set-mtu':
        if (link) link = { ...link, mtu: step.mtu };
        break;
      case 'add-interface-address':
        if (link) link = { ...link, addresses: [...link.addresses, step.address] };
        break;
      case 'remove-interface-address':
        if (link) link = { ...link, addresses: link.addresses.filter((address) => address !== step.address) };
        break;
      case 'bring-up':
        if (link) link = { ...link, isUp: true };
        break;
      case 'set-forwarding':
        if (step.device !== tunnel.name && !found.has(step.device))
          found.set(step.device, forwarding.get(step.device) ?? false);
        forwarding.set(step.device, step.enabled);
        break;
      case 'pick-up-flows':
        picksUpFlows = step.enabled;
        break;
      case 'remove-peer':
        peers.delete(step.publicKey);
        break;
      case 'set-peer':
        // An allowed IP belongs to one peer: the kernel takes it from whoever had it.
        for (const [key, allowedIps] of peers)
          if (key !== step.publicKey && allowedIps.some((cidr) => step.allowedIps.includes(cidr)))
            peers.set(
              key,
              allowedIps.filter((cidr) => !step.allowedIps.includes(cidr)),
            );
        peers.set(step.publicKey, step.allowedIps);
        break;
    }
  }
  return {
    firewall: { sets: [...sets.values()], rules },
    tunnel: { link, forwarding, picksUpFlows },
    peers: [...peers].map(([publicKey, allowedIps]) => ({ publicKey, allowedIps })),
    foundForwarding: found,
  };
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
