import type { InterfaceName } from '#contract/network.ts';
import { noFirewall, planFirewall } from './plan/firewall.ts';
import type { NodeSystem } from './system/node.ts';
import type { WireGuard } from './system/wireguard.ts';

/**
 * Removes all that is ours: the tunnel first, while its default deny still stands, then forwarding as it was found,
 * then rules and sets. Doing it again does nothing.
 */
export async function tearDown(system: NodeSystem, wireguard: WireGuard, tunnel: InterfaceName): Promise<void> {
  await wireguard.remove();
  const { node } = await system.observe([]);
  await system.apply(
    [...node.foundForwarding]
      .filter(([device]) => device !== tunnel && node.tunnel.forwarding.has(device))
      .map(([device, enabled]) => ({ kind: 'set-forwarding', device, enabled })),
  );
  await system.apply(planFirewall(node.firewall, noFirewall, Date.now()).rules);
  await system.finish();
}
