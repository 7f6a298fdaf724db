import { describe, expect, test } from 'bun:test';
import { evaluate } from './evaluate.ts';
import { inDecember, inNovember, sampleLines, sampleRoster, sampleWorld, worldOf } from './fixture/sample-world.ts';
import type { Packet } from './packet.ts';

const laptop = '10.91.65.1';
const phone = '10.91.65.2';
const desk = '10.91.65.3';
const guest = '10.91.65.4';
const stranger = '10.91.65.99';
const gitlab = '10.91.127.1';

const by = (name: string) => ({ kind: 'interface', name }) as const;
const node = { kind: 'node' } as const;
const tunnel = { kind: 'tunnel' } as const;
const bridge = by('br-internal');

/** A tcp packet from a device that opens a flow on n1; the rest says how it differs. */
const packet = (
  source: string,
  destination: string,
  to: Packet['to'],
  rest: Partial<Packet> | number = {},
): Packet => ({
  node: 'n1',
  family: 4,
  from: tunnel,
  to,
  source,
  destination,
  protocol: 'tcp',
  port: typeof rest === 'number' ? rest : 443,
  icmpType: 0,
  phase: 'first',
  ...(typeof rest === 'number' ? {} : rest),
});
const at = (name: string, port: number) => ({ node: name, port });
const ping = { protocol: 'icmp', icmpType: 8 } as const;

/** `allowed by what`, `denied because`, `untouched`. */
const said = (world: ReturnType<typeof sampleWorld>, one: Packet, now = inNovember) => {
  const verdict = evaluate(world, one, now);
  if (verdict.verdict === 'untouched') return 'untouched';
  if (verdict.verdict === 'denied')
    return `denied ${verdict.because}${verdict.line ?? ''}${verdict.reset ? ' reset' : ''}`;
  const { by, masquerade, redirectedTo } = verdict;
  const reason = by.kind === 'line' ? `line ${by.line}` : by.kind;
  return `allowed ${reason}${redirectedTo ? ` to ${redirectedTo}` : ''}${masquerade ? ' nat' : ''}`;
};

describe('from a device', () => {
  test.each([
    ['a developer at a front', packet(laptop, gitlab, node, 443), 'allowed line 10'],
    ['at its other port', packet(laptop, gitlab, node, 22), 'allowed line 10 to 172.19.0.10 nat'],
    ['at the port that leads to HTTPS', packet(laptop, gitlab, node, 80), 'allowed line 10'],
    ['a guest there', packet(guest, gitlab, node, 80), 'denied no-grant'],
    ['at a port it has not', packet(laptop, gitlab, node, 81), 'denied no-grant'],
    ['at the backend behind its back', packet(laptop, '172.19.0.10', bridge, 443), 'denied no-grant'],
    ["a front hides its backend's port", packet(laptop, '10.91.127.2', node, 8080), 'denied no-grant'],
    ['a guest at a front', packet(guest, gitlab, node, 443), 'denied no-grant'],
    ['an admin has what a developer has', packet(desk, gitlab, node, 443), 'allowed line 10'],
    ['an admin in the network', packet(desk, '172.19.3.4', bridge, 80), 'allowed line 11 nat'],
    ['with any protocol', packet(desk, '172.19.3.4', bridge, { protocol: 'other' }), 'allowed line 11 nat'],
    ['a network inside it is another', packet(desk, '172.19.7.4', by('br-secret'), 80), 'denied no-grant'],
    ['out by another interface', packet(desk, '172.19.3.4', by('eth9'), 80), 'denied no-way-here'],
    ['through another gateway', packet(desk, '172.19.3.4', by('eth1'), { node: 'n2' }), 'allowed line 11 nat'],
    [
      'through a node that is none',
      packet(laptop, '172.17.0.1', by('docker0'), { node: 'n2', port: 5432 }),
      'denied no-way-here',
    ],
    ['to the internet', packet(desk, '198.51.100.1', by('eno1'), 443), 'denied no-way-here'],
    ["one user's grant", packet(laptop, '172.17.0.1', by('docker0'), 5432), 'allowed line 13'],
    ["is not another user's", packet('10.91.65.5', '172.17.0.1', by('docker0'), 5432), 'denied no-grant'],
    ["one device's grant", packet(phone, '172.17.3.1', by('docker0'), ping), 'allowed line 14'],
    ["is not the other device's", packet(laptop, '172.17.3.1', by('docker0'), ping), 'denied no-grant'],
    [
      'ping is no timestamp request',
      packet(phone, '172.17.3.1', by('docker0'), { ...ping, icmpType: 13 }),
      'denied no-grant',
    ],
    ['everyone', packet(guest, '172.19.0.53', bridge, { protocol: 'udp', port: 53 }), 'allowed line 15 nat'],
    ['an admin to another device', packet(desk, laptop, tunnel, 22), 'allowed line 11'],
    ['to a device that is none', packet(desk, stranger, tunnel, 22), 'denied no-such-device'],
    ['a developer to another device', packet(laptop, desk, tunnel, 22), 'denied no-grant'],
    ['from no device', packet(stranger, gitlab, node, 443), 'denied not-a-device'],
    ['in IPv6', packet(desk, laptop, tunnel, { family: 6 }), 'denied ipv6-inside'],
  ])('%s', (_, one, expected) => expect(said(sampleWorld(), one)).toBe(expected));
});

describe('at the node itself', () => {
  const n1 = '10.91.64.2';
  test.each([
    ['DNS', packet(guest, n1, node, { protocol: 'udp', port: 53 }), 'allowed plumbing'],
    ['a probe', packet(guest, n1, node, { protocol: 'udp', port: 51830 }), 'allowed plumbing'],
    ['the API where the master is', packet(guest, n1, node, 8443), 'allowed plumbing'],
    ['the API elsewhere', packet(guest, '10.91.64.3', node, { node: 'n2', port: 8443 }), 'denied no-grant'],
    ['SSH for an admin', packet(desk, n1, node, 22), 'allowed line 12'],
    ['SSH for a developer', packet(laptop, n1, node, 22), 'denied no-grant'],
    ["at the node's address on a bridge", packet(desk, '172.19.0.1', node, 80), 'denied no-grant'],
    ['a vpn-only port', packet(guest, n1, node, 5432), 'allowed line 16'],
    ['on another node', packet(guest, '10.91.64.3', node, { node: 'n2', port: 5432 }), 'denied no-grant'],
    ['published by Docker, at the tunnel address', packet(guest, n1, { kind: 'published' }, 5432), 'allowed line 16'],
    ['at another address of the node', packet(guest, '192.0.2.1', { kind: 'published' }, 5432), 'denied no-way-here'],
    ['ping', packet(guest, n1, node, ping), 'denied no-grant'],
  ])('%s', (_, one, expected) => expect(said(sampleWorld(), one)).toBe(expected));
});

describe('over the mesh', () => {
  const world = worldOf(sampleLines, {
    ...sampleRoster,
    mesh: { cidr: '10.77.0.0/24' },
    nodes: sampleRoster.nodes.map((one, place) => ({
      ...one,
      mesh: { publicKey: one.name, address: `10.77.0.${place + 1}`, endpoints: [] },
    })),
  });
  const mesh = { kind: 'mesh' } as const;
  const fromN2 = { from: mesh } as const;
  test.each([
    [
      'a grant to a network behind another node',
      packet(laptop, '172.17.0.1', mesh, at('n2', 5432)),
      'allowed line 13 nat',
    ],
    ['who has none', packet(guest, '172.17.0.1', mesh, at('n2', 5432)), 'denied no-grant'],
    ['what the node leads to itself', packet(desk, '172.19.3.4', mesh, at('n2', 80)), 'denied no-way-here'],
    ["a front's other port", packet(laptop, gitlab, node, at('n2', 22)), 'allowed line 10 to 172.19.0.10 nat'],
    ['led on for another node', packet('10.77.0.2', '172.17.0.1', by('docker0'), fromN2), 'allowed mesh nat'],
    ['by another interface', packet('10.77.0.2', '172.17.0.1', bridge, fromN2), 'denied not-between-nodes'],
    ['from no node', packet('172.30.0.1', '172.17.0.1', by('docker0'), fromN2), 'denied not-between-nodes'],
    ['to a device', packet('10.77.0.2', laptop, tunnel, fromN2), 'denied begun-outside'],
    ['a probe of another agent', packet('10.77.0.2', '10.77.0.1', node, { ...fromN2, port: 51830 }), 'allowed mesh'],
    ['VRRP', packet('10.77.0.2', '10.77.0.1', node, { ...fromN2, protocol: 'vrrp' }), 'allowed mesh'],
    ['SSH', packet('10.77.0.2', '10.77.0.1', node, { ...fromN2, port: 22 }), 'denied not-between-nodes'],
    [
      'a network that begins',
      packet('172.17.0.1', '10.77.0.2', mesh, { from: by('docker0') }),
      'denied not-between-nodes',
    ],
    [
      "a node's address there, from outside",
      packet('192.0.2.9', '10.77.0.1', node, { from: by('eno1') }),
      'denied inside-from-outside',
    ],
    ['in IPv6', packet('10.77.0.2', '10.77.0.1', node, { ...fromN2, family: 6 }), 'denied ipv6-inside'],
  ])('%s', (_, one, expected) => expect(said(world, one)).toBe(expected));
});

describe('from elsewhere', () => {
  const outside = { from: by('eno1') } as const;
  test.each([
    [
      'a vpn-only port on the public side',
      packet('192.0.2.9', '192.0.2.1', node, { ...outside, port: 5432 }),
      'denied vpn-only16',
    ],
    [
      'the same, published by Docker',
      packet('192.0.2.9', '192.0.2.1', { kind: 'published' }, { ...outside, port: 5432 }),
      'denied vpn-only16',
    ],
    [
      'the same in IPv6',
      packet('192.0.2.9', '192.0.2.1', node, { ...outside, port: 5432, family: 6 }),
      'denied vpn-only16',
    ],
    [
      'a flow from before',
      packet('192.0.2.9', '192.0.2.1', node, { ...outside, port: 5432, phase: 'further' }),
      'denied vpn-only16',
    ],
    ['on another interface', packet('192.0.2.9', '192.0.2.1', node, { from: by('eth7'), port: 5432 }), 'untouched'],
    ['another port', packet('192.0.2.9', '192.0.2.1', node, { ...outside, port: 443 }), 'untouched'],
    [
      'between other interfaces',
      packet('192.0.2.9', '172.17.0.2', by('docker0'), { ...outside, port: 5432 }),
      'untouched',
    ],
    ['a front', packet('192.0.2.9', gitlab, node, outside), 'denied inside-from-outside'],
    ["the node's tunnel address", packet('192.0.2.9', '10.91.64.2', node, outside), 'denied inside-from-outside'],
    ['to a device', packet('172.19.0.10', laptop, tunnel, { from: bridge }), 'denied begun-outside'],
    [
      'a device that answers it',
      packet('172.19.0.10', laptop, tunnel, { from: bridge, phase: 'reply' }),
      'denied begun-outside reset',
    ],
    ['from the node itself', packet('10.91.64.2', laptop, tunnel, { from: node }), 'untouched'],
    ['the answer to it', packet('10.91.64.2', laptop, tunnel, { from: node, phase: 'reply' }), 'allowed reply'],
    [
      'the answer from no device',
      packet('10.91.64.2', stranger, tunnel, { from: node, phase: 'reply' }),
      'denied not-a-device',
    ],
  ])('%s', (_, one, expected) => expect(said(sampleWorld(), one)).toBe(expected));
});

describe('flows that are already there', () => {
  const sandbox = (phase: Packet['phase']) => packet(laptop, '172.17.0.1', by('docker0'), { port: 5432, phase });
  test.each([
    ['go on while granted', 'further', inNovember, 'allowed line 13'],
    ['are reset when the grant ran out', 'further', inDecember, 'denied run-out13 reset'],
    ['open no more', 'first', inDecember, 'denied run-out13'],
    ['have answers while granted', 'reply', inNovember, 'allowed reply'],
    ['have none when the grant ran out', 'reply', inDecember, 'denied run-out13'],
    ['let errors back to the end', 'error', inDecember, 'allowed reply'],
    ['that nobody knows are reset', 'stray', inNovember, 'denied no-known-flow reset'],
  ] as const)('%s', (_, phase, now, expected) => expect(said(sampleWorld(), sandbox(phase), now)).toBe(expected));

  test('an answer from where nothing is granted for a time passes, whatever the lines say now', () =>
    expect(said(sampleWorld(), packet(guest, '172.19.3.4', bridge, { phase: 'reply' }))).toBe('allowed reply'));

  test('no answer reaches a device that is none any more', () =>
    expect(said(sampleWorld(), packet(stranger, '172.19.3.4', bridge, { phase: 'reply' }))).toBe(
      'denied not-a-device',
    ));
});

test('the last moment of a grant is the one before its end', () => {
  const world = worldOf([...sampleLines]);
  const one = packet(laptop, '172.17.0.1', by('docker0'), 5432);
  const end = Date.UTC(2026, 11, 1);
  expect(said(world, one, end - 1)).toBe('allowed line 13');
  expect(said(world, one, end)).toBe('denied run-out13');
});
