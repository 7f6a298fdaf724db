import type { World } from '#policies/meaning/world.ts';
import { chainNames, type Plan, planFor, ruleWriter } from './chain-builder.ts';
import { type Chain, drop, type Firewall, type Hook } from './firewall.ts';
import { forwardChains, publishedRules } from './forward.ts';
import { inputChains, publicRules } from './host.ts';
import { natChains } from './nat.ts';
import { rawChain } from './raw.ts';
import { replyChains } from './reply.ts';

export interface CompileOptions {
  readonly node: string;
  /** Of the policy, not of the roster: a change of members alone keeps the names of the sets. */
  readonly revision: number;
  /** The tunnel's interface. */
  readonly tunnel?: string;
  /** The interface between the nodes. */
  readonly mesh?: string;
}

/** What a node's firewall should be. It enforces `evaluate`, packet by packet. */
export function compileFirewall(
  world: World,
  { node, revision, tunnel = 'wg0', mesh = 'wg-mesh' }: CompileOptions,
): Firewall {
  const plan = planFor(world, node, revision, tunnel, mesh);
  const chains = [
    ...forwardChains(plan),
    ...replyChains(plan),
    ...inputChains(plan),
    ...natChains(plan),
    rawChain(plan),
    ...ipv6Chains(plan),
  ];
  return { node, revision, sets: plan.sets.all, chains, hooks };
}

/**
 * Docker makes DOCKER-USER and jumps to it first, also after a restart that put its own chains above ours. The raw table
 * is there where somebody has put rules into it.
 */
export const hooks: readonly Hook[] = [
  { family: 4, table: 'filter', from: 'FORWARD', to: chainNames.forward },
  { family: 4, table: 'filter', from: 'DOCKER-USER', to: chainNames.forward, ifPresent: true },
  { family: 4, table: 'filter', from: 'INPUT', to: chainNames.input },
  { family: 4, table: 'nat', from: 'PREROUTING', to: chainNames.prerouting },
  { family: 4, table: 'nat', from: 'POSTROUTING', to: chainNames.postrouting },
  { family: 4, table: 'mangle', from: 'FORWARD', to: chainNames.mss },
  { family: 4, table: 'raw', from: 'PREROUTING', to: chainNames.raw, ifPresent: true },
  { family: 6, table: 'filter', from: 'FORWARD', to: chainNames.forward },
  { family: 6, table: 'filter', from: 'DOCKER-USER', to: chainNames.forward, ifPresent: true },
  { family: 6, table: 'filter', from: 'INPUT', to: chainNames.input },
];

/** Inside the tunnel and the mesh is IPv4 only: IPv6 is dropped both ways, and the rules' counters count it. */
function ipv6Chains(plan: Plan): Chain[] {
  const { tunnel, mesh } = plan;
  const rule = ruleWriter(plan);
  return [
    {
      family: 6,
      table: 'filter',
      name: chainNames.forward,
      rules: [
        rule({ in: tunnel }, drop, 'no IPv6 inside the tunnel'),
        rule({ out: tunnel }, drop, 'no IPv6 inside the tunnel'),
        rule({ in: mesh }, drop, 'no IPv6 between nodes'),
        rule({ out: mesh }, drop, 'no IPv6 between nodes'),
        ...publishedRules(plan),
      ],
    },
    {
      family: 6,
      table: 'filter',
      name: chainNames.input,
      rules: [
        rule({ in: tunnel }, drop, 'no IPv6 inside the tunnel'),
        rule({ in: mesh }, drop, 'no IPv6 between nodes'),
        ...publicRules(plan),
      ],
    },
  ];
}
