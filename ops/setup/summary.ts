import type { Joined } from './join.ts';
import type { SetupConfig } from './state.ts';

export type Summary = {
  apiUrl: string;
  swaggerUrl: string;
  ownerTokenFile: string;
  /** Only the first time, and not when it went into a file. */
  recoveryPassphrase?: string;
  rootThumbprint: string;
  endpoint: string;
  pool: string;
  ports: { port: number; protocol: 'tcp' | 'udp'; for: string }[];
  created: boolean;
  /** Whether this run changed or started anything. */
  changed: boolean;
  notes: string[];
};

export function portsOf({ endpoint, listen }: Pick<SetupConfig, 'endpoint' | 'listen'>): Summary['ports'] {
  const portOf = (address: string) => Number(address.slice(address.lastIndexOf(':') + 1));
  return [
    { port: portOf(endpoint), protocol: 'udp', for: 'the tunnels (WireGuard)' },
    { port: portOf(listen), protocol: 'tcp', for: 'joining, and the API' },
  ];
}

/** What a person reads on a machine that has become a node of a master elsewhere. */
export function renderJoined(joined: Joined, kind: 'systemd' | 'supervisor'): string {
  const { node, master, endpoints, tunnelAddress, meshAddress, created, changed } = joined;
  if (tunnelAddress === null)
    return [
      '',
      `This machine is ${node}, a node of ${master}, which does not answer. The node is up with what it was told before.`,
      'What changes at the master meanwhile comes when it is back.',
      '',
    ].join('\n');
  const state = created ? 'is a node of' : changed ? 'runs again as a node of' : 'is a node of';
  return [
    '',
    `This machine ${state} ${master}: ${node}, healthy.${created || changed ? '' : ' Nothing had to be changed.'}`,
    '',
    `  Devices reach it at   ${endpoints.join(', ')} (UDP; open this port)`,
    `  In the tunnel it is   ${tunnelAddress}`,
    `  In the mesh it is     ${meshAddress ?? 'not there yet'} (nodes call one another at UDP 51821; open it too)`,
    ...(kind === 'supervisor' ? ['', '  There is no systemd here: after a reboot, run ops/up again.'] : []),
    '',
    'See it at the master: postern node list',
    '',
  ].join('\n');
}

/** What a person reads after `ops/up`. `command` is how to call postern from here; `ownerToken` is shown if given. */
export function renderSummary(
  summary: Summary,
  command: string,
  isColoured: boolean,
  ownerToken: string | undefined,
): string {
  const bold = (text: string) => (isColoured ? `\x1b[1m${text}\x1b[0m` : text);
  const faint = (text: string) => (isColoured ? `\x1b[2m${text}\x1b[0m` : text);
  const lines = [
    '',
    bold(
      summary.created
        ? 'Postern is up.'
        : summary.changed
          ? 'Postern is up again.'
          : 'Postern is up; nothing had to be changed.',
    ),
    '',
    `  API          ${summary.apiUrl}`,
    `  Swagger UI   ${summary.swaggerUrl}`,
    `  Devices get  ${summary.pool}   and reach this node at ${summary.endpoint}`,
    `  Open         ${summary.ports.map(({ port, protocol, for: why }) => `${port}/${protocol} ${faint(why)}`).join(', ')}`,
    ownerToken === undefined
      ? `  Owner token  ${summary.ownerTokenFile} ${faint('(readable by root alone; postern uses it)')}`
      : `  Owner token  ${ownerToken}\n               ${faint(`shown this once; postern reads it from ${summary.ownerTokenFile}`)}`,
  ];
  if (summary.recoveryPassphrase !== undefined) {
    lines.push(
      '',
      `  ${bold('Recovery passphrase, shown this once:')}  ${bold(summary.recoveryPassphrase)}`,
      '  It opens the root and release keys. Keep it away from this machine: paper does well.',
    );
  }
  for (const note of summary.notes) lines.push('', `  ${note}`);
  lines.push(
    '',
    'Next, add somebody and give them a code:',
    '',
    `  ${bold(`${command} user add ana@example.com --role developer && ${command} code add ana@example.com`)}`,
    '',
  );
  return lines.join('\n');
}
