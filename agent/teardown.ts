import { noFirewall, planFirewall } from './plan/firewall.ts';
import { planLoopback } from './plan/interface.ts';
import { removeReadable } from './services/readable.ts';
import { endDaemons } from './services/run-record.ts';
import type { NodeSystem } from './system/node.ts';
import type { WireGuard } from './system/wireguard.ts';

/**
 * Removes all that is ours: the programs that ran beside the agent, then the tunnel and the mesh, while its default deny still
 * stands, then forwarding as it was found, then rules and sets. Doing it again does nothing.
 */
export async function tearDown(system: NodeSystem, wireguards: readonly WireGuard[], services: string): Promise<void> {
  await endDaemons(services);
  await removeReadable(services);
  for (const wireguard of wireguards) await wireguard.remove();
  const own = wireguards.map(({ name }) => name);
  const { node } = await system.observe([]);
  await system.apply(
    [...node.foundForwarding]
      .filter(([device]) => !own.includes(device) && node.tunnel.forwarding.has(device))
      .map(([device, enabled]) => ({ kind: 'set-forwarding', device, enabled })),
  );
  await system.apply(planLoopback(node.tunnel.held, []));
  await system.apply(planFirewall(node.firewall, noFirewall, Date.now()).rules);
  await system.finish();
}
