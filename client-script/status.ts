import type { Bundle } from '#contract/bundle.ts';
import type { Outage } from '#contract/outage.ts';
import type { VrrpState } from '#contract/probe.ts';
import type { ObservedPeer } from '#contract/wg.ts';
import { loadJoined } from './membership.ts';
import type { Platform } from './platform/platform.ts';
import { ProcessFile } from './process-file.ts';
import type { ActiveNode, StateFiles } from './state-files.ts';
import { interfaceName, refusedRoutes } from './tunnel.ts';
import { WatchReport } from './watch-report.ts';

/** WireGuard renews a session every two minutes and forgets it after three. */
const freshHandshakeSeconds = 180;
const freshReportMs = 20_000;

export type NodeStatus = {
  name: string;
  tunnelAddress: string;
  endpoint: string | null;
  handshakeAgeSeconds: number | null;
  isAnswering: boolean;
  isHealthy: boolean;
  isDraining: boolean;
  vrrp: VrrpState | null;
  /** Whether the address that moves is there. */
  holdsVip: boolean;
  rttMs: number | null;
  receivedBytes: number;
  sentBytes: number;
};

export type NetworkStatus = {
  name: string;
  cidr: string;
  node: string | null;
  isRouted: boolean;
  reason: string | null;
};

export type Status =
  | { joined: false; connected: false }
  | {
      joined: true;
      connected: boolean;
      master: string;
      deviceId: string;
      deviceName: string;
      interface: string;
      address: string;
      /** The node that has this device's packets, since when, and why it was changed to; null when nothing was changed. */
      node: string | null;
      since: string | null;
      cause: ActiveNode['cause'] | null;
      /** Of the newest session with any node. */
      handshakeAgeSeconds: number | null;
      nodes: readonly NodeStatus[];
      networks: readonly NetworkStatus[];
      /** Changes from one node to another, the newest first. */
      outages: readonly Outage[];
      bundle: { epoch: number; revision: number };
      watcherPid: number | null;
      problems: readonly string[];
    };

/** How this device stands, by what the interface and the watcher say now. */
export async function status(platform: Platform, files: StateFiles, now: number): Promise<Status> {
  const joined = await loadJoined(files);
  if (joined === undefined) return { joined: false, connected: false };
  const { bundle, membership } = joined;
  const [observed, localRoutes, report, active, { outages }, pid] = await Promise.all([
    platform.observe(interfaceName),
    platform.localRoutes(interfaceName),
    files.report(WatchReport),
    files.active(),
    files.outages(),
    new ProcessFile(files, platform).running(),
  ]);
  const refused = refusedRoutes(bundle, localRoutes);
  const fresh =
    report?.pid === pid && report !== undefined && now - Date.parse(report.at) < freshReportMs ? report : undefined;
  const nodes = bundle.nodes.map((node) => {
    const peer = observed?.peers.find(({ publicKey }) => publicKey === node.publicKey);
    return nodeStatus(node, peer, fresh, now);
  });
  const newest = nodes
    .filter(({ handshakeAgeSeconds }) => handshakeAgeSeconds !== null)
    .sort((a, b) => (a.handshakeAgeSeconds ?? 0) - (b.handshakeAgeSeconds ?? 0))[0];
  const age = newest?.handshakeAgeSeconds ?? null;
  const connected = observed?.isUp === true && age !== null && age < freshHandshakeSeconds;
  // What the interface does counts, not what was meant.
  const ownerOf = (cidr: string) => {
    const key = observed?.peers.find(({ allowedIps }) => allowedIps.includes(cidr))?.publicKey;
    return bundle.nodes.find(({ publicKey }) => publicKey === key)?.name ?? null;
  };
  return {
    joined: true,
    connected,
    master: membership.master,
    deviceId: membership.deviceId,
    deviceName: bundle.deviceName,
    interface: interfaceName,
    address: bundle.address,
    node: active?.node ?? newest?.name ?? null,
    since: active?.since ?? null,
    cause: active?.cause ?? null,
    handshakeAgeSeconds: age,
    nodes,
    networks: bundle.networks.map(({ name, cidr }) => ({
      name,
      cidr,
      node: ownerOf(cidr),
      isRouted: observed?.routes.includes(cidr) ?? false,
      reason: refused.find((route) => route.network === name && route.cidr === cidr)?.reason ?? null,
    })),
    outages: outages.toReversed(),
    bundle: { epoch: bundle.epoch, revision: bundle.revision },
    watcherPid: pid ?? null,
    problems: [
      ...(observed === undefined ? [`${interfaceName} is down; bring it up with \`postern-client up\``] : []),
      ...(observed !== undefined && !connected
        ? ['no node answers: this network may block UDP, or the device was revoked']
        : []),
      ...(observed !== undefined && pid === undefined
        ? ['the watcher does not run, so nothing is renewed; start it with `postern-client up`']
        : []),
      ...refused.map(({ network, cidr, reason }) => `${network} (${cidr}) is not routed: ${reason}`),
      ...(fresh?.problems ?? []),
    ],
  };
}

function nodeStatus(
  { name, tunnelAddress }: Bundle['nodes'][number],
  peer: ObservedPeer | undefined,
  report: WatchReport | undefined,
  now: number,
): NodeStatus {
  const seen = report?.nodes.find((node) => node.name === name);
  const handshake = peer?.latestHandshake ?? 0;
  return {
    name,
    tunnelAddress,
    endpoint: peer?.endpoint ?? null,
    handshakeAgeSeconds: handshake === 0 ? null : Math.max(0, Math.round(now / 1000 - handshake)),
    isAnswering: seen?.isAnswering ?? false,
    isHealthy: seen?.isHealthy ?? false,
    isDraining: seen?.isDraining ?? false,
    vrrp: seen?.vrrp ?? null,
    holdsVip: seen?.holdsVip ?? false,
    rttMs: seen?.rttMs ?? null,
    receivedBytes: peer?.receivedBytes ?? 0,
    sentBytes: peer?.sentBytes ?? 0,
  };
}
