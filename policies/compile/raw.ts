import { placeInMesh } from '#policies/meaning/world.ts';
import { chainNames, type Plan, ruleWriter } from './chain-builder.ts';
import { accept, type Chain } from './firewall.ts';
import { gatewayDevice } from './grants.ts';

/**
 * What the tunnel and other nodes send to the networks behind the node passes by what others drop before a flow is known. Docker, since
 * version 28, so drops whatever is sent to a container's own address from elsewhere, where no rule of FORWARD or
 * DOCKER-USER ever sees it. This opens nothing: who may go there is judged in FORWARD.
 */
export function rawChain(plan: Plan): Chain {
  const { world, node, tunnel, mesh } = plan;
  const from = placeInMesh(world, node) === undefined ? [tunnel] : [tunnel, mesh];
  const rule = ruleWriter(plan);
  const rules = [...world.networks.values()]
    .filter((network) => gatewayDevice(network, node) !== undefined)
    .flatMap((network) =>
      from.map((device) => rule({ in: device, destination: network.cidr.value }, accept, [network.line])),
    );
  return { family: 4, table: 'raw', name: chainNames.raw, rules };
}
