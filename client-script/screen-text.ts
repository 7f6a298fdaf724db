import type { Bundle } from '#contract/bundle.ts';
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
  const { connected, node, handshakeAgeSeconds, deviceName, address, networks, bundle, problems } = status;
  return [
    connected ? `Connected to ${node}, last handshake ${handshakeAgeSeconds} s ago` : 'Not connected',
    `  device     ${deviceName}, ${address} on ${status.interface}`,
    `  master     ${status.master}`,
    ...status.nodes.map(nodeLine),
    ...networks.map(networkLine),
    `  bundle     ${bundle.epoch}-${bundle.revision}`,
    ...problems.map((problem) => `  problem    ${problem}`),
    '',
  ].join('\n');
}

function nodeLine(node: Extract<Status, { joined: true }>['nodes'][number]): string {
  const how = node.isAnswering ? `answers in ${node.rttMs} ms` : 'has not answered lately';
  return `  node       ${node.name} at ${node.endpoint ?? 'no endpoint'}: ${how}`;
}

function networkLine({ name, cidr, node, isRouted, reason }: NetworkStatus): string {
  return `  network    ${name} ${cidr} ${isRouted ? `through ${node}` : `not routed${reason === null ? '' : `: ${reason}`}`}`;
}
