import { describe, expect, test } from 'bun:test';
import { mayReceive, subnetProblem } from './webhook-address.ts';

const rules = { allow: [], pool: '10.91.64.0/18', own: ['203.0.114.9', '2a01:4f8::9'] };

const addresses: [string, boolean, string][] = [
  ['93.184.216.34', true, 'a public address'],
  ['2606:2800:220:1:248:1893:25c8:1946', true, 'a public IPv6 address'],
  ['127.0.0.1', false, 'loopback'],
  ['127.255.255.254', false, 'the far end of loopback'],
  ['0.0.0.0', false, 'unspecified, which leads here'],
  ['0.1.2.3', false, 'this network'],
  ['10.0.0.1', false, 'private'],
  ['10.91.64.7', false, 'the pool'],
  ['172.16.0.1', false, 'private'],
  ['172.31.255.255', false, 'the end of a private range'],
  ['172.32.0.1', true, 'just behind it'],
  ['192.168.1.1', false, 'private'],
  ['100.64.0.1', false, 'shared by carriers'],
  ['100.127.255.255', false, 'the end of what carriers share'],
  ['100.128.0.1', true, 'just behind it'],
  ['100.100.100.200', false, 'the credentials of a cloud'],
  ['169.254.169.254', false, 'the credentials of most clouds'],
  ['169.254.1.1', false, 'local to the link'],
  ['192.0.0.1', false, 'protocol assignments'],
  ['192.0.2.1', false, 'documentation'],
  ['192.88.99.1', false, 'a relay of 6to4'],
  ['198.18.0.1', false, 'benchmarks'],
  ['198.51.100.7', false, 'documentation'],
  ['203.0.113.7', false, 'documentation'],
  ['203.0.114.9', false, 'this machine'],
  ['224.0.0.1', false, 'multicast'],
  ['239.255.255.255', false, 'multicast'],
  ['240.0.0.1', false, 'reserved'],
  ['255.255.255.255', false, 'broadcast'],
  ['::1', false, 'loopback'],
  ['::', false, 'unspecified'],
  ['::ffff:127.0.0.1', false, 'loopback, mapped'],
  ['::ffff:7f00:1', false, 'loopback, mapped, in hex'],
  ['::ffff:93.184.216.34', true, 'a public address, mapped'],
  ['::127.0.0.1', false, 'loopback in the old compatible form'],
  ['::ffff:0:127.0.0.1', false, 'loopback, translated (SIIT)'],
  ['64:ff9b::7f00:1', false, 'loopback through NAT64'],
  ['64:ff9b::a00:1', false, 'private through NAT64'],
  ['64:ff9b::5db8:d822', false, 'anything through NAT64'],
  ['64:ff9b:1::a00:1', false, 'private through a local NAT64'],
  ['2002:7f00:1::', false, 'loopback through 6to4'],
  ['2001:0:4136:e378:8000:63bf:3fff:fdd2', false, 'Teredo'],
  ['2001:db8::1', false, 'documentation'],
  ['2001:10::1', false, 'ORCHID'],
  ['100::1', false, 'discard-only'],
  ['fe80::1', false, 'local to the link'],
  ['fe80::1%eth0', false, 'local to the link, with a zone'],
  ['fec0::1', false, 'local to the site'],
  ['fc00::1', false, 'unique local'],
  ['fd12:3456::1', false, 'unique local'],
  ['fd00:ec2::254', false, 'the credentials of a cloud'],
  ['ff02::1', false, 'multicast'],
  ['2a01:4f8::9', false, 'this machine'],
  ['2A01:4F8:0::9', false, 'this machine, written otherwise'],
  ['4000::1', false, 'not given out to anybody'],
  ['localhost', false, 'a name'],
  ['', false, 'nothing'],
];

describe('mayReceive', () => {
  test.each(addresses)('%s: %p (%s)', (address, may) => expect(mayReceive(address, rules)).toBe(may));

  test.each([
    ['10.2.3.4', '10.0.0.0/8', true],
    ['::ffff:10.2.3.4', '10.0.0.0/8', true],
    ['172.16.0.1', '10.0.0.0/8', false],
    ['127.0.0.1', '127.0.0.0/8', true],
    ['203.0.114.9', '203.0.114.9/32', true],
    ['fd12::1', 'fd12::/16', true],
    ['fd13::1', 'fd12::/16', false],
    ['10.2.3.4', 'fd12::/16', false],
    ['10.91.64.7', '10.0.0.0/8', false],
    ['::ffff:10.91.64.7', '10.0.0.0/8', false],
    ['169.254.169.254', '169.254.0.0/16', false],
    ['169.254.7.7', '169.254.0.0/16', true],
    ['100.100.100.200', '100.64.0.0/10', false],
    ['224.0.0.1', '224.0.0.0/4', false],
    ['0.0.0.0', '0.0.0.0/8', false],
  ])('%s with %s opened: %p', (address, subnet, may) =>
    expect(mayReceive(address, { ...rules, allow: [subnet] })).toBe(may),
  );
});

describe('subnetProblem', () => {
  test.each(['10.0.0.0/8', '127.0.0.1/32', 'fd00::/8'])('takes %s', (text) =>
    expect(subnetProblem(text)).toBeUndefined(),
  );
  test.each(['10.0.0.0', '10.0.0.0/33', 'office', '0.0.0.0/0', '::/0'])('refuses %s', (text) =>
    expect(subnetProblem(text)).toBeString(),
  );
});
