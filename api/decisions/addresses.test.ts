import { describe, expect, test } from 'bun:test';
import { ipv4ToNumber, numberToIpv4 } from '#contract/network.ts';
import { meshAddress, poolPlan, poolProblem } from './addresses.ts';

const shown = ({ first, last }: { first: number; last: number }) => `${numberToIpv4(first)}-${numberToIpv4(last)}`;

describe('poolPlan', () => {
  test.each([
    ['10.91.64.0/18', '10.91.64.2-10.91.64.63', '10.91.64.64-10.91.127.254'],
    ['10.0.0.0/24', '10.0.0.2-10.0.0.63', '10.0.0.64-10.0.0.254'],
    ['10.0.0.0/26', '10.0.0.2-10.0.0.15', '10.0.0.16-10.0.0.62'],
    ['10.0.0.16/28', '10.0.0.18-10.0.0.19', '10.0.0.20-10.0.0.30'],
  ])('%s gives nodes %s and devices %s', (pool, nodes, devices) => {
    const plan = poolPlan(pool);
    expect([shown(plan.nodes), shown(plan.devices)]).toEqual([nodes, devices]);
    expect(ipv4ToNumber(plan.vip)).toBe(plan.nodes.first - 1);
  });

  test('a node has the same place in the mesh, the last one too', () => {
    const { nodes } = poolPlan('10.91.64.0/18');
    const places = [nodes.first, nodes.last].map((address) => meshAddress('10.213.7.0/24', '10.91.64.0/18', address));
    expect(places).toEqual(['10.213.7.2', '10.213.7.63']);
  });

  test.each([
    ['10.0.0.0/29', 'too small'],
    ['10.0.0.0/28', undefined],
    ['10.0.0.0/8', undefined],
    ['8.0.0.0/7', 'too large'],
  ])('%s as a pool: %p', (pool, why) => {
    if (why === undefined) expect(poolProblem(pool)).toBeUndefined();
    else expect(poolProblem(pool)).toContain(why);
  });
});
