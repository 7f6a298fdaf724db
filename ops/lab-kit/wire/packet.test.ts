import { describe, expect, test } from 'bun:test';
import { bytesOf, type Probe, sightingOf, tokenOf } from './packet.ts';

const token = tokenOf(7);
const probe: Probe = {
  token,
  family: 4,
  source: '10.91.65.1',
  destination: '172.19.0.10',
  protocol: 'tcp',
  sourcePort: 40_001,
  port: 443,
  icmpType: 8,
  tcp: 'opens',
  acknowledges: 0,
};
const ipv6 = { family: 6, source: 'fd00::1', destination: 'fd00:19:0:0:0:0:0:a' } as const;

describe('a probe on the wire', () => {
  const seen = { token, form: 'packet', source: probe.source, destination: probe.destination } as const;
  test.each([
    ['a SYN', {}, { port: 443, sequence: token }],
    ['a segment in midstream', { tcp: 'goes-on', acknowledges: 5 }, { port: 443, sequence: token + 1 }],
    ['a datagram', { protocol: 'udp' }, { port: 443 }],
    ['a ping', { protocol: 'icmp', port: 0 }, {}],
    ['a timestamp request', { protocol: 'icmp', port: 0, icmpType: 13 }, {}],
    ['some other protocol', { protocol: 'other', port: 0 }, {}],
  ] as const)('%s is recognised', (_, change, also) => {
    expect(sightingOf(bytesOf({ ...probe, ...change }))).toMatchObject({ ...seen, ...also });
  });

  test.each(['tcp', 'udp', 'icmp', 'other'] as const)('%s over IPv6 is recognised', (protocol) => {
    const source = 'fd00:0:0:0:0:0:0:1';
    expect(sightingOf(bytesOf({ ...probe, ...ipv6, protocol }))).toMatchObject({
      ...seen,
      source,
      destination: ipv6.destination,
    });
  });
});

test('checksums come out as zero over what they cover', () => {
  const packet = bytesOf({ ...probe, protocol: 'udp' });
  const sum = (bytes: readonly number[]) => {
    let total = 0;
    for (let at = 0; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    return (total & 0xffff) + (total >>> 16);
  };
  expect(sum([...packet.subarray(0, 20)])).toBe(0xffff);
  expect(sum([...packet.subarray(12, 20), 0, 17, 0, 16, ...packet.subarray(20)])).toBe(0xffff);
});

describe('what comes back', () => {
  const segment = (sequence: number, acknowledged: number, flags: number) => {
    const packet = bytesOf({ ...probe, source: probe.destination, destination: probe.source });
    const view = new DataView(packet.buffer);
    view.setUint32(24, sequence);
    view.setUint32(28, acknowledged);
    view.setUint8(33, flags);
    return sightingOf(packet);
  };
  test.each([
    ['a SYN with ACK', segment(99, token + 1, 0x12), { token, form: 'answer', sequence: 99 }],
    ['a closed port', segment(0, token + 1, 0x14), { token, form: 'answer' }],
    ['a reset of a stray that acknowledged its own token', segment(token + 1, 0, 0x04), { token, form: 'reset' }],
    ['a reset in midstream', segment(77, 0, 0x04), { token: 0, form: 'reset', sequence: 77 }],
  ] as const)('%s', (_, sighting, expected) => expect(sighting).toMatchObject(expected));

  test('an ICMP error names the packet it is about', () => {
    const about = bytesOf({ ...probe, protocol: 'udp' });
    const carrier = bytesOf({ ...probe, protocol: 'icmp', icmpType: 3, source: '172.19.0.1' });
    const error = Uint8Array.from([...carrier.subarray(0, 20), 3, 3, 0, 0, 0, 0, 0, 0, ...about]);
    expect(sightingOf(error)).toMatchObject({ token, form: 'error', source: '172.19.0.1', port: 443 });
  });

  test('other traffic is none of ours', () => {
    expect(sightingOf(bytesOf({ ...probe, token: 12_345 }))).toBeUndefined();
    expect(sightingOf(segmentOfOthers)).toBeUndefined();
    expect(sightingOf(Uint8Array.of(0x45, 0, 0))).toBeUndefined();
    expect(sightingOf(new Uint8Array())).toBeUndefined();
  });
});

const segmentOfOthers = bytesOf({ ...probe, token: 3, tcp: 'goes-on' });
