import type { InterfaceName } from '#contract/network.ts';
import { noFirewall, planFirewall } from './plan/firewall.ts';
import { endDaemons } from './services/run-record.ts';
import type { NodeSystem } from './system/node.ts';
import type { WireGuard } from './system/wireguard.ts';

/**
 * Removes all that is ours: the programs that ran beside the agent, then the tunnel, while its default deny still
 * stands, then forwarding as it was found, then rules and sets. Doing it again does nothing.
 */
export async function tearDown(
  system: NodeSystem,
  wireguard: WireGuard,
  tunnel: InterfaceName,
  services: string,
): Promise<void> {
  await endDaemons(services);
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
