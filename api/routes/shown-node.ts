import type { NodeResource } from '#contract/admin.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { StoredNode } from '../store/nodes.ts';

/** A node as admins, and the node itself, see it. */
export function shownNode(fleet: Fleet, { agentKey, ...node }: StoredNode): NodeResource {
  return { ...node, connected: fleet.isConnected(node.name) };
}
