import { cidrContains } from '#contract/network.ts';
import type { Snapshot } from '#contract/snapshot.ts';
import { evaluate } from '#policies/meaning/evaluate.ts';
import type { Packet } from '#policies/meaning/packet.ts';
import type { World } from '#policies/meaning/world.ts';
import type { Flow } from '../formats/conntrack.ts';

/**
 * Whether what was open may be closed now, so that running flows have to be looked at. Who is gone altogether is stopped
 * by the first rule, in both directions; who may do less is stopped at the next packet that they send themselves, and
 * only a flow in which the other side alone sends would go on.
 */
export function mayNarrow(before: Snapshot | undefined, after: Snapshot): boolean {
  if (before === undefined || before.policy.revision !== after.policy.revision) return true;
  const roles = new Map(before.users.map(({ id, role }) => [id, role]));
  const renamed = new Map(before.devices.map(({ id, name }) => [id, name]));
  return (
    after.users.some(({ id, role }) => roles.has(id) && roles.get(id) !== role) ||
    after.devices.some(({ id, name }) => renamed.has(id) && renamed.get(id) !== name) ||
    JSON.stringify([before.fronts, before.vip]) !== JSON.stringify([after.fronts, after.vip])
  );
}

/** Whether a running flow of a device could not begin at `now` (Unix milliseconds): then it has to end. */
export function mustEnd(world: World, node: string, flow: Flow, now: number): boolean {
  const { pool, nodes, vip } = world.roster;
  if (!cidrContains(pool, flow.source) || isHeld(world, flow.source)) return false;
  const own = [nodes.find(({ name }) => name === node)?.tunnelAddress, vip].includes(flow.destination);
  const packet: Packet = {
    node,
    family: 4,
    from: { kind: 'tunnel' },
    to: placeOf(world, node, flow, own),
    source: flow.source,
    destination: flow.destination,
    protocol: flow.protocol,
    port: flow.port,
    icmpType: flow.icmpType,
    phase: 'first',
  };
  return evaluate(world, packet, now).verdict === 'denied';
}

/** Whether a node has this address, so that no device can: what comes from it is what nodes say to themselves. */
function isHeld({ roster: { nodes, vip }, fronts }: World, address: string): boolean {
  return address === vip || fronts.has(address) || nodes.some(({ tunnelAddress }) => tunnelAddress === address);
}

function placeOf(world: World, node: string, { destination, answeredBy }: Flow, own: boolean): Packet['to'] {
  if (own) return { kind: answeredBy === destination ? 'node' : 'published' };
  if (world.fronts.has(destination)) return { kind: 'node' };
  if (cidrContains(world.roster.pool, destination)) return { kind: 'tunnel' };
  const network = world.subnets.networkOf(destination);
  const gateway = network?.gateways.find((way) => way.node.value === node);
  if (gateway !== undefined) return { kind: 'interface', name: gateway.device.value };
  return { kind: network === undefined ? 'node' : 'mesh' };
}
