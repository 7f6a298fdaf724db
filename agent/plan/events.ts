import type { InterfaceName } from '#contract/network.ts';

/** Rules of others in these chains come before ours, or our own were changed. */
const chains = /\b(?:POSTERN-\S+|INPUT|FORWARD|DOCKER-USER|PREROUTING|POSTROUTING)\b/;

/**
 * Whether a line of `ip -oneline monitor` or `nft monitor` may be about what we look after: one of these interfaces, or
 * the chains that ours hang in. Tables that come and go matter, since they take our rules along.
 */
export function concernsUs(line: string, devices: readonly InterfaceName[]): boolean {
  if (/^(?:add|delete|insert|replace|flush|destroy) /.test(line))
    return /^(?:delete|flush|destroy) table (?:ip|ip6) /.test(line) || (/ (?:ip|ip6) /.test(line) && chains.test(line));
  // What is learnt of neighbours and what the kernel notes of IPv6 say nothing of ours.
  const words = line.split(/[\s:@]+/);
  return devices.some((device) => words.includes(device));
}
