import type { NetworkResource, NewNetwork } from '#contract/admin.ts';
import type { Policy } from '#contract/policy.ts';
import { networkResources, withNetwork, withoutNetwork } from '../decisions/policy-edits.ts';
import type { Result } from '../decisions/result.ts';
import { audit } from './audit.ts';
import { refreshBundles } from './bundles.ts';
import { allNodes } from './nodes.ts';
import type { Store } from './open.ts';
import { raiseRevision, readSettings, writePolicy } from './settings.ts';

export function allNetworks(store: Store): NetworkResource[] {
  return networkResources(readSettings(store).policy);
}

export function addNetwork(store: Store, wanted: NewNetwork, actor: string, now: Date): Result<NetworkResource> {
  return store.write((): Result<NetworkResource> => {
    const { policy, pool } = readSettings(store);
    const next = withNetwork(policy, wanted, { pool, nodes: allNodes(store).map(({ name }) => name) });
    if (!next.ok) return next;
    putInForce(store, next.value, now);
    const { name, ...detail } = wanted;
    audit(store, now, { actor, act: 'network.add', subject: name, detail });
    const added = allNetworks(store).find((network) => network.name === name);
    return added === undefined ? { ok: false, reason: 'not-found' } : { ok: true, value: added };
  });
}

export function removeNetwork(store: Store, name: string, actor: string, now: Date): Result<{ revision: number }> {
  return store.write((): Result<{ revision: number }> => {
    const next = withoutNetwork(readSettings(store).policy, name);
    if (!next.ok) return next;
    const revision = putInForce(store, next.value, now);
    audit(store, now, { actor, act: 'network.remove', subject: name });
    return { ok: true, value: { revision } };
  });
}

function putInForce(store: Store, policy: Policy, now: Date): number {
  const { revision } = raiseRevision(store, now);
  writePolicy(store, policy);
  refreshBundles(store, 'all', revision, now);
  return revision;
}
