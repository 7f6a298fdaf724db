import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import {
  Cidr,
  cidrContains,
  cidrRange,
  cidrsOverlap,
  Endpoint,
  InterfaceName,
  Ipv4,
  ipv4ToNumber,
  numberToIpv4,
} from './network.ts';

describe('addresses are parsed strictly', () => {
  test.each([
    [Ipv4, '10.0.0.1', true],
    [Ipv4, '255.255.255.255', true],
    [Ipv4, '010.0.0.1', false],
    [Ipv4, '0x0a.0.0.1', false],
    [Ipv4, '10.1', false],
    [Ipv4, '256.0.0.1', false],
    [Ipv4, '::ffff:10.0.0.1', false],
    [Ipv4, '10.0.0.1\n', false],
    [Ipv4, '١٠.0.0.1', false],
    [Cidr, '172.19.0.0/16', true],
    [Cidr, '10.0.0.1/32', true],
    [Cidr, '172.19.0.1/16', false],
    [Cidr, '10.0.0.0/33', false],
    [Cidr, '10.0.0.0/016', false],
    [Cidr, '0.0.0.0/0', false],
    [Cidr, '10.0.0.0', false],
    [Endpoint, '198.51.100.7:51820', true],
    [Endpoint, '[2001:db8::1]:51820', true],
    [Endpoint, 'vpn.example.com:443', true],
    [Endpoint, '-vpn.example.com:443', false],
    [Endpoint, '198.51.100.7', false],
    [Endpoint, '198.51.100.7:0', false],
    [Endpoint, '198.51.100.7:70000', false],
    [Endpoint, '198.51.100.7:51820\nPostUp = x', false],
    [InterfaceName, 'br-internal', true],
    [InterfaceName, '-i', false],
    [InterfaceName, 'a/b', false],
    [InterfaceName, '..', false],
    [InterfaceName, 'sixteen-letters-', false],
  ])('%# %s', (schema, input, valid) => {
    expect(v.safeParse(schema, input).success).toBe(valid);
  });
});

describe('arithmetic', () => {
  test('an address survives the way to a number and back', () => {
    for (const address of ['0.0.0.0', '10.91.64.70', '192.0.2.255', '255.255.255.255'])
      expect(numberToIpv4(ipv4ToNumber(address))).toBe(address);
  });

  test('a subnet knows its first and last address', () => {
    expect(cidrRange('10.91.64.0/18')).toEqual({
      first: ipv4ToNumber('10.91.64.0'),
      last: ipv4ToNumber('10.91.127.255'),
      prefix: 18,
    });
  });

  test.each([
    ['10.91.64.0/18', '10.91.64.0', true],
    ['10.91.64.0/18', '10.91.127.255', true],
    ['10.91.64.0/18', '10.91.128.0', false],
  ])('%s contains %s: %p', (cidr, address, contained) => expect(cidrContains(cidr, address)).toBe(contained));

  test.each([
    ['10.0.0.0/8', '10.91.64.0/18', true],
    ['10.91.64.0/18', '10.0.0.0/8', true],
    ['172.16.0.0/16', '172.17.0.0/16', false],
  ])('%s and %s overlap: %p', (a, b, overlap) => expect(cidrsOverlap(a, b)).toBe(overlap));
});
