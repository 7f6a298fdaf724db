import { describe, expect, test } from 'bun:test';
import { cidrRange, cidrsOverlap } from '#contract/network.ts';
import { chooseMesh, choosePool, isPrivate, routedSubnets, upstreamsIn } from './pool.ts';

describe('choosePool', () => {
  test('gives a /18 of 10/8 that overlaps no route and nothing that Docker or Kubernetes takes', () => {
    for (let draw = 0; draw < 50; draw++) {
      const pool = choosePool(['10.128.0.0/9', '192.168.1.0/24'], () => draw / 50);
      expect(cidrRange(pool).prefix).toBe(18);
      for (const taken of ['10.128.0.0/9', '10.0.0.0/24', '10.244.0.0/16', '10.96.0.0/12'])
        expect(cidrsOverlap(pool, taken)).toBe(false);
      expect(cidrsOverlap(pool, '10.0.0.0/8')).toBe(true);
    }
  });

  test('says what to do when all of 10/8 is routed', () =>
    expect(() => choosePool(['10.0.0.0/8'], () => 0)).toThrow('--pool'));
});

test('routedSubnets reads what ip(8) prints, the default route left out', () =>
  expect(
    routedSubnets([{ dst: 'default' }, { dst: '10.1.0.0/16' }, { dst: '10.2.3.4' }, { dst: '127.0.0.0/8' }]),
  ).toEqual(['10.1.0.0/16', '10.2.3.4/32', '127.0.0.0/8']));

test.each([
  ['10.1.2.3', true],
  ['172.31.0.1', true],
  ['172.32.0.1', false],
  ['192.168.1.4', true],
  ['100.64.0.9', true],
  ['198.51.100.10', false],
])('isPrivate: %s is %p', (address, is) => expect(isPrivate(address)).toBe(is));

test.each([
  ['nameserver 9.9.9.9\nnameserver 149.112.112.112\n', ['9.9.9.9', '149.112.112.112']],
  ['# made by hand\nsearch corp.internal\nnameserver\t10.0.0.2\noptions edns0\n', ['10.0.0.2']],
  ['nameserver 127.0.0.53\nnameserver ::1\nnameserver fe80::1%eth0\n', []],
  ['nameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 999.1.1.1\n', ['1.1.1.1']],
  ['', []],
])('the resolvers in %j are %j', (text, upstreams) => expect(upstreamsIn(text)).toEqual(upstreams));

test('the mesh lies beside the pool and what is routed', () => {
  for (const random of [0, 0.5, 0.999]) {
    const mesh = chooseMesh(['10.0.0.0/9', '10.200.0.0/16'], () => random);
    expect(mesh).toMatch(/^10\.\d+\.\d+\.0\/24$/);
    expect(['10.0.0.0/9', '10.200.0.0/16'].some((taken) => cidrsOverlap(taken, mesh))).toBe(false);
  }
  expect(() => chooseMesh(['10.0.0.0/8'], () => 0)).toThrow('none for the mesh');
});
