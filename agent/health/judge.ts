import type { InterfaceName } from '#contract/network.ts';
import type { ProbeAnswer } from '#contract/probe.ts';

/** What was found out about this node. Undefined is what was not asked yet, and counts for nothing. */
export type Findings = {
  /** Whether the rules and peers of a snapshot are in force, by the last pass. */
  isInForce: boolean;
  /** Interfaces that packets between devices and networks come in by. */
  forwarding: readonly { device: InterfaceName; isOn: boolean | undefined }[];
  /** Interfaces that networks lie behind. */
  links: readonly { device: InterfaceName; isThere: boolean | undefined }[];
  /** Programs beside the agent that answer those inside the tunnel. */
  answering: readonly { name: string; isWell: boolean | undefined }[];
  /** Networks that this node leads to, by whether any service in them answers it; `gateways` are all that lead there. */
  networks: readonly {
    name: string;
    isReachable: boolean | undefined;
    /** The others have had time to find out the same, so that a single host that has died is not held against this node. */
    isCertain: boolean;
    gateways: readonly string[];
  }[];
  /** What other nodes that can be heard now say of themselves. */
  others: readonly Pick<ProbeAnswer, 'node' | 'healthy' | 'unreachable'>[];
};

export type Verdict = { healthy: boolean; reasons: readonly string[]; unreachable: readonly string[] };

/**
 * Whether a node counts. A network that no node reaches is no reason against this one, and neither is a snapshot that has
 * become old: the master may be away for long.
 */
export function judge({ isInForce, forwarding, links, answering, networks, others }: Findings): Verdict {
  const unreachable = networks.filter(({ isReachable }) => isReachable === false);
  const reasons = [
    ...(isInForce ? [] : ['the rules and peers of its snapshot are not in force']),
    ...forwarding.filter(({ isOn }) => isOn === false).map(({ device }) => `packets from ${device} are not forwarded`),
    ...links.filter(({ isThere }) => isThere === false).map(({ device }) => `the interface ${device} is gone`),
    ...answering.filter(({ isWell }) => isWell === false).map(({ name }) => `${name} does not answer`),
    ...unreachable.flatMap(({ name, gateways, isCertain }) => {
      if (!isCertain) return [];
      const better = others.find(
        ({ node, healthy, unreachable = [] }) => healthy && gateways.includes(node) && !unreachable.includes(name),
      );
      return better === undefined ? [] : [`${name} is out of reach, and ${better.node} reaches it`];
    }),
  ];
  return { healthy: reasons.length === 0, reasons, unreachable: unreachable.map(({ name }) => name) };
}
