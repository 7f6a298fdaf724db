import { checkSource } from '#policies/language/check.ts';
import { renderDiagnostics } from '#policies/language/diagnostic.ts';
import type { PolicyRoster } from './roster.ts';
import { resolve, type World } from './world.ts';

/** A small company for tests: four people, five devices, two nodes. */
export const sampleRoster: PolicyRoster = {
  pool: '10.91.64.0/18',
  users: [
    { id: 'u-alice', email: 'alice@example.com', role: 'developer' },
    { id: 'u-bob', email: 'bob@example.com', role: 'admin' },
    { id: 'u-carol', email: 'carol@example.com', role: 'guest' },
    { id: 'u-dan', email: 'dan@example.com', role: 'developer' },
  ],
  devices: [
    { userId: 'u-alice', name: 'laptop', address: '10.91.65.1' },
    { userId: 'u-alice', name: "Alice's phone", address: '10.91.65.2' },
    { userId: 'u-bob', name: 'desk', address: '10.91.65.3' },
    { userId: 'u-carol', name: 'phone', address: '10.91.65.4' },
    { userId: 'u-dan', name: 'laptop', address: '10.91.65.5' },
  ],
  nodes: [
    { name: 'n1', tunnelAddress: '10.91.64.2' },
    { name: 'n2', tunnelAddress: '10.91.64.3' },
  ],
  fronts: [
    { service: 'gitlab', address: '10.91.127.1' },
    { service: 'vault', address: '10.91.127.2' },
  ],
  vip: '10.91.64.1',
  api: { node: 'n1', port: 8443 },
};

export const sampleLines = [
  'role developer',
  'role admin includes developer',
  'role guest',
  'network internal = 172.19.0.0/16 via n1 dev br-internal, n2 dev eth1',
  'network secret   = 172.19.7.0/24 via n1 dev br-secret no-nat',
  'network sandbox  = 172.17.0.0/16 via n1 dev docker0 no-nat',
  'service gitlab = 172.19.0.10 tcp/443, tcp/22 name gitlab.corp.internal front https',
  'service vault  = 172.19.0.11 tcp/8080        name vault.corp.internal  front https',
  'service dns    = 172.19.0.53 tcp/53, udp/53',
  'allow developer -> gitlab, vault',
  'allow admin -> internal, devices',
  'allow admin -> nodes tcp/22',
  'allow alice@example.com -> sandbox tcp/5432 until 2026-12-01T00:00Z',
  'allow device:alice@example.com/"Alice\'s phone" -> 172.17.3.0/24 icmp',
  'allow everyone -> dns',
  'vpn-only tcp/5432 on n1 dev eno1',
] as const;

export const inNovember = Date.UTC(2026, 10, 22);
export const inDecember = Date.UTC(2026, 11, 22);

/** A world of these lines; a document with errors fails the test that made it. */
export function worldOf(lines: readonly string[] | string, roster: PolicyRoster = sampleRoster): World {
  const source = typeof lines === 'string' ? lines : lines.join('\n');
  const checked = checkSource(source);
  if (!checked.ok) throw new Error(renderDiagnostics(source, checked.diagnostics));
  return resolve(checked.document, roster);
}

export const sampleWorld = () => worldOf(sampleLines);
