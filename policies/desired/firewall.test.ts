import { describe, expect, test } from 'bun:test';
import type { Snapshot } from '#contract/snapshot.ts';
import { type Chain, closedFirewall, desiredFirewall, type Rule } from './firewall.ts';

const id = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
const key = (number: number) => Buffer.alloc(32, number).toString('base64');

const user = (number: number, role: string) => ({ id: id(number), email: `u${number}@example.com`, role });
const device = (number: number, owner: number) => ({
  id: id(100 + number),
  userId: id(owner),
  name: `laptop ${number}`,
  publicKey: key(number),
  address: `10.91.1.${number}`,
  bundleRevision: 1,
});
const node = (name: string, number: number) => ({
  name,
  publicKey: key(200 + number),
  endpoints: [],
  tunnelAddress: `10.91.0.${number}`,
  priority: 100,
});

const snapshot: Snapshot = {
  epoch: 1,
  revision: 1,
  issuedAt: '2026-11-01T00:00:00.000Z',
  pool: '10.91.0.0/18',
  users: [user(1, 'admin'), user(2, 'developer'), user(3, 'visitor')],
  devices: [device(1, 1), device(2, 2), device(3, 2), device(4, 3)],
  nodes: [node('n1', 2), node('n2', 3)],
  policy: {
    roles: [
      { name: 'developer', includes: [] },
      { name: 'admin', includes: ['developer'] },
      { name: 'visitor', includes: [] },
    ],
    networks: [
      { name: 'internal', cidr: '172.19.0.0/16', nat: true, gateways: [{ node: 'n1', device: 'br-internal' }] },
      { name: 'far', cidr: '172.20.0.0/16', nat: false, gateways: [{ node: 'n2', device: 'eth1' }] },
    ],
    grants: [
      { role: 'developer', target: { kind: 'devices' } },
      { role: 'admin', target: { kind: 'network', network: 'internal' } },
      { role: 'admin', target: { kind: 'network', network: 'far' } },
    ],
  },
};

const chain = (chains: readonly Chain[], family: string, hook: string) =>
  chains.find((candidate) => candidate.family === family && candidate.hook === hook)?.rules ?? [];
const accepted = (rules: readonly Rule[]) => rules.filter((rule) => rule.verdict === 'ACCEPT');

describe('desiredFirewall', () => {
  const firewall = desiredFirewall(snapshot, 'n1');

  test.each([
    ['postern-members', ['10.91.1.1', '10.91.1.2', '10.91.1.3', '10.91.1.4']],
    ['postern-r-admin', ['10.91.1.1']],
    ['postern-r-developer', ['10.91.1.2', '10.91.1.3']],
  ])('%s holds %j', (name, addresses) =>
    expect(firewall.sets.find((set) => set.name === name)?.addresses).toEqual(addresses),
  );

  test('a role that opens nothing has no set', () =>
    expect(firewall.sets.map((set) => set.name)).not.toContain('postern-r-visitor'));

  test('an admin has what a developer has, by inclusion', () => {
    const reached = accepted(chain(firewall.chains, 'ipv4', 'FORWARD'))
      .filter((rule) => rule.member?.side === 'src' && rule.member.set === 'postern-r-admin')
      .map((rule) => `${rule.destination} ${rule.output}`);
    expect(reached).toEqual(['10.91.0.0/18 wg0', '172.19.0.0/16 br-internal']);
  });

  test('a network is opened only on the nodes that lead to it', () => {
    const outputs = (name: string) =>
      accepted(chain(desiredFirewall(snapshot, name).chains, 'ipv4', 'FORWARD')).map((rule) => rule.output);
    expect(outputs('n1')).not.toContain('eth1');
    expect(outputs('n2')).toContain('eth1');
    expect(outputs('n2')).not.toContain('br-internal');
  });

  test('both ways of every forwarded flow are held against a set, save for errors about one', () => {
    for (const rule of accepted(chain(firewall.chains, 'ipv4', 'FORWARD')))
      expect(rule.member !== undefined || (rule.direction === 'error' && rule.protocol === 'icmp')).toBe(true);
  });

  test('the gate comes before anything that accepts, and everything else is dropped at the end', () => {
    const rules = chain(firewall.chains, 'ipv4', 'FORWARD');
    const gate = { set: 'postern-members', absent: true } as const;
    expect(rules.slice(0, 2)).toEqual([
      { input: 'wg0', member: { ...gate, side: 'src' }, verdict: 'DROP' },
      { output: 'wg0', member: { ...gate, side: 'dst' }, verdict: 'DROP' },
    ]);
    expect(rules.slice(-2)).toEqual([
      { input: 'wg0', verdict: 'DROP' },
      { output: 'wg0', verdict: 'DROP' },
    ]);
  });

  test('devices reach no port of the node but the plumbing', () => {
    const services = accepted(chain(firewall.chains, 'ipv4', 'INPUT')).filter((rule) => rule.direction === undefined);
    expect(
      services.map((rule) => `${rule.destination} ${rule.protocol}/${rule.destinationPort} ${rule.input}`),
    ).toEqual(['10.91.0.2/32 udp/51830 wg0', '10.91.0.2/32 tcp/51830 wg0']);
  });

  test('nothing of IPv6 is accepted', () => {
    const rules = firewall.chains.filter(({ family }) => family === 'ipv6').flatMap((chain) => chain.rules);
    expect(rules.map((rule) => rule.verdict)).toEqual(['DROP', 'DROP', 'DROP']);
  });

  test('only networks that ask for it are masqueraded', () => {
    expect(chain(firewall.chains, 'ipv4', 'POSTROUTING')).toEqual([
      { source: '10.91.0.0/18', destination: '172.19.0.0/16', output: 'br-internal', verdict: 'MASQUERADE' },
    ]);
    expect(desiredFirewall(snapshot, 'n2').chains.some((candidate) => candidate.table === 'nat')).toBe(false);
  });

  test.each([
    ['a node that is not in the snapshot', desiredFirewall(snapshot, 'n3')],
    ['a node without a snapshot', closedFirewall()],
  ])('%s lets nobody in', (_, closed) => {
    expect(closed.sets).toEqual([{ name: 'postern-members', addresses: [] }]);
    expect(accepted(chain(closed.chains, 'ipv4', 'FORWARD'))).toEqual([]);
  });

  test('the tunnel may have another name', () => {
    const names = desiredFirewall(snapshot, 'n1', 'wg7').chains.flatMap(({ rules }) =>
      rules.flatMap(({ input, output, notInput }) => [input, output, notInput]),
    );
    expect(new Set(names.filter((name) => name?.startsWith('wg')))).toEqual(new Set(['wg7']));
  });
});
