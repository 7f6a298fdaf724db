import { ownRegion } from '#policies/meaning/access.ts';
import { type Region, union } from '#policies/meaning/region.ts';
import { chainNames, type Plan, ruleWriter } from './chain-builder.ts';
import { accept, type Chain, portMatches, type Rule } from './firewall.ts';
import { leadingFronts } from './forward.ts';
import { gatewayDevice } from './grants.ts';
import { exitMasquerades } from './mesh.ts';

/** Where packets are sent on to, whose address they carry there, and how large their segments may be. */
export function natChains(plan: Plan): Chain[] {
  const { tunnel } = plan;
  const rule = ruleWriter(plan);
  const clamp = { protocol: 'tcp', tcp: 'syn-or-syn-ack' } as const;
  return [
    { family: 4, table: 'nat', name: chainNames.prerouting, rules: redirections(plan) },
    { family: 4, table: 'nat', name: chainNames.postrouting, rules: masquerades(plan) },
    {
      family: 4,
      table: 'mangle',
      name: chainNames.mss,
      rules: [
        rule({ in: tunnel, ...clamp }, { kind: 'CLAMP-MSS' }, 'segments that fit the tunnel'),
        rule({ out: tunnel, ...clamp }, { kind: 'CLAMP-MSS' }, 'segments that fit the tunnel'),
      ],
    },
  ];
}

/**
 * The other ports of a front lead on to its backend. The accept at the end keeps a port that Docker publishes on every
 * address of the node from answering on a front's.
 */
function redirections(plan: Plan): Rule[] {
  const { tunnel, sets } = plan;
  const rule = ruleWriter(plan);
  const backends = leadingFronts(plan).flatMap(({ address, service, ports }) =>
    portMatches(ports).map((match) =>
      rule({ in: tunnel, destination: `${address}/32`, ...match }, { kind: 'DNAT', to: service.address.value }, [
        service.line,
      ]),
    ),
  );
  return [...backends, rule({ in: tunnel, sets: [{ name: sets.fronts, side: 'dst' }] }, accept, 'fronts')];
}

/** Networks with `nat` see the node's own address, so they need no way back to the devices. */
function masquerades(plan: Plan): Rule[] {
  const { world, node, sets } = plan;
  const rule = ruleWriter(plan);
  const behind = new Map<string, { region: Region; lines: number[] }>();
  for (const network of world.networks.values()) {
    const device = gatewayDevice(network, node);
    if (device === undefined || !network.nat) continue;
    const known = behind.get(device) ?? { region: [], lines: [] };
    behind.set(device, {
      region: union(known.region, ownRegion(world, network)),
      lines: [...known.lines, network.line],
    });
  }
  return [
    ...[...behind].map(([out, { region, lines }]) =>
      rule({ source: world.roster.pool, out, ...sets.placeMatch(region) }, { kind: 'MASQUERADE' }, lines),
    ),
    ...exitMasquerades(plan),
  ];
}
