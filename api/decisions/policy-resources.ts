import type { NetworkResource } from '#contract/admin.ts';
import type { ClosedPort, ServiceResource } from '#contract/places.ts';
import type { Front } from '#contract/policy.ts';
import type { PolicyLine } from '#contract/problem.ts';
import { type Outline, rolesThatReach } from '#policies/desired/outline.ts';
import type { Refused } from './result.ts';

/** The policy's lines as the things that admins list. */

export function networkResources(outline: Outline, now: Date): NetworkResource[] {
  const rolesOf = rolesThatReach(outline, now.getTime());
  return outline.networks.map((network) => {
    const { name, cidr, gateways, nat } = network;
    return { name, cidr, gateways: [...gateways], nat, roles: rolesOf(network) };
  });
}

export function serviceResources(outline: Outline, fronts: readonly Front[], now: Date): ServiceResource[] {
  const rolesOf = rolesThatReach(outline, now.getTime());
  const addresses = new Map(fronts.map(({ service, address }) => [service, address]));
  return outline.services.map((service) => {
    const { name, address, ports, dnsName, front, preset } = service;
    const frontAddress = addresses.get(name) ?? null;
    return { name, address, ports: [...ports], dnsName, front, preset, frontAddress, roles: rolesOf(service) };
  });
}

export function closedPorts({ closedPorts }: Outline): ClosedPort[] {
  return closedPorts.map(({ node, device, port }) => ({ node, device, port }));
}

/** The refusal to remove what these lines of the policy name. */
export function inUse(lines: PolicyLine[]): Refused {
  const numbers = lines.map(({ line }) => line);
  const shown = `${numbers.slice(0, 10).join(', ')}${numbers.length > 10 ? ` and ${numbers.length - 10} more` : ''}`;
  const detail =
    numbers.length === 1
      ? `Line ${shown} of the policy names it; change that line first.`
      : `Lines ${shown} of the policy name it; change those lines first.`;
  return { ok: false, reason: 'in-use', detail, policy: { lines } };
}
