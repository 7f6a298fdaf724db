import type { Bundle } from '#contract/bundle.ts';
import type { Outage, SwitchCause } from '#contract/outage.ts';
import type { VrrpState } from '#contract/probe.ts';
import type { JoinReport } from './join.ts';
import type { NetworkStatus, Status } from './status.ts';
import type { RefusedRoute } from './tunnel.ts';

/** What people read at the end of a command. */

export function joinText(report: JoinReport): string {
  if (report.alreadyJoined) {
    return `This device has joined already, as ${report.deviceName} (${report.address}). \`postern-client status\` says how it stands.\n`;
  }
  return [
    '',
    `You are inside as ${report.deviceName}, ${report.address}.`,
    ...reachText(report.networks, report.refused),
    ...(report.pending.length === 0 ? [] : [`To follow when they are ready: ${report.pending.join(', ')}.`]),
    '`postern-client status` says how it stands, `down` and `up` switch it off and on.',
    '',
  ].join('\n');
}

export function upText({ deviceName, address, networks }: Bundle): string {
  return ['', `You are inside as ${deviceName}, ${address}.`, ...reachText(networks, []), ''].join('\n');
}

function reachText(networks: Bundle['networks'], refused: readonly RefusedRoute[]): readonly string[] {
  if (networks.length === 0) return ['Your role opens no network yet; what an admin adds comes by itself.'];
  const width = Math.max(...networks.map(({ name }) => name.length));
  return [
    'You can reach:',
    ...networks.map(({ name, cidr, nodes }) => {
      const reason = refused.find((route) => route.network === name && route.cidr === cidr)?.reason;
      const way = reason === undefined ? `through ${nodes.join(', ')}` : `NOT routed: ${reason}`;
      return `  ${name.padEnd(width)}  ${cidr.padEnd(18)}  ${way}`;
    }),
  ];
}

export function statusText(status: Status): string {
  if (!status.joined) return 'This device has not joined. Run the join line that your admin gave you.\n';
  const { connected, handshakeAgeSeconds, deviceName, address, networks, bundle, problems } = status;
  return [
    connected ? `Connected through ${placeText(status)}, last handshake ${handshakeAgeSeconds} s ago` : 'Not connected',
    `  device     ${deviceName}, ${address} on ${status.interface}`,
    `  master     ${status.master}`,
    ...status.nodes.map(nodeLine),
    ...networks.map(networkLine),
    ...status.outages.slice(0, 5).map(outageLine),
    `  bundle     ${bundle.epoch}-${bundle.revision}`,
    ...problems.map((problem) => `  problem    ${problem}`),
    '',
  ].join('\n');
}

type Joined = Extract<Status, { joined: true }>;

function placeText({ node, since, cause }: Joined): string {
  if (since === null) return `${node}`;
  return `${node} since ${since}${cause === null ? '' : ` (the one before was ${causes[cause ?? 'silent']})`}`;
}

function nodeLine(node: Joined['nodes'][number]): string {
  const state = [
    node.isAnswering ? `answers in ${node.rttMs} ms` : 'has not answered lately',
    ...(node.isAnswering && !node.isHealthy ? ['is not well'] : []),
    ...(node.isDraining ? ['is being emptied'] : []),
    ...(node.vrrp === null ? [] : [node.vrrp === 'MASTER' && node.holdsVip ? 'active' : standings[node.vrrp]]),
  ];
  return `  node       ${node.name} at ${node.endpoint ?? 'no endpoint'}: ${state.join(', ')}`;
}

const standings: Record<VrrpState, string> = {
  MASTER: 'about to be active',
  BACKUP: 'standing by',
  FAULT: 'not to be active',
  DEAD: 'not taking part in the election',
};

export const causes: Record<SwitchCause, string> = {
  silent: 'silent',
  unhealthy: 'not well',
  draining: 'being emptied',
  passive: 'not the active one',
  'unreachable-network': 'cut off from a network',
};

function outageLine({ at, from, to, cause, gapMilliseconds }: Outage): string {
  return `  change     ${at} from ${from}, which was ${causes[cause]}, to ${to}: ${gapMilliseconds} ms without an answer`;
}

function networkLine({ name, cidr, node, isRouted, reason }: NetworkStatus): string {
  return `  network    ${name} ${cidr} ${isRouted ? `through ${node}` : `not routed${reason === null ? '' : `: ${reason}`}`}`;
}
