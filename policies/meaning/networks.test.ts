import { describe, expect, test } from 'bun:test';
import { inDecember, inNovember, sampleLines, sampleWorld, worldOf } from './fixture/sample-world.ts';
import { grantsOf, Networks } from './networks.ts';

const of = (address: string, now = inNovember, world = sampleWorld()) => {
  const device = world.devices.get(address);
  return device === undefined
    ? []
    : new Networks(new Map(grantsOf(world)), world.roster, now)
        .of(device)
        .map(({ name, cidr, nodes }) => `${name} ${cidr} ${nodes}`);
};

describe('the places a bundle leads to', () => {
  test.each([
    [
      'a developer with a grant of her own',
      '10.91.65.1',
      [
        'gitlab 10.91.127.1/32 n1,n2',
        'vault 10.91.127.2/32 n1,n2',
        'dns 172.19.0.53/32 n1,n2',
        'sandbox 172.17.0.0/16 n1',
      ],
    ],
    [
      'one device more',
      '10.91.65.2',
      [
        'gitlab 10.91.127.1/32 n1,n2',
        'vault 10.91.127.2/32 n1,n2',
        'dns 172.19.0.53/32 n1,n2',
        'sandbox 172.17.0.0/16 n1',
        'sandbox 172.17.3.0/24 n1',
      ],
    ],
    [
      'an admin',
      '10.91.65.3',
      [
        'gitlab 10.91.127.1/32 n1,n2',
        'vault 10.91.127.2/32 n1,n2',
        'internal 172.19.0.0/16 n1,n2',
        'devices 10.91.64.0/18 n1,n2',
        'dns 172.19.0.53/32 n1,n2',
      ],
    ],
    ['a guest', '10.91.65.4', ['dns 172.19.0.53/32 n1,n2']],
    ['nobody', '10.91.65.99', []],
  ])('%s', (_, address, expected) => expect(of(address)).toEqual(expected));

  test('what ran out is no longer among them', () =>
    expect(of('10.91.65.1', inDecember)).not.toContain('sandbox 172.17.0.0/16 n1'));

  test('a literal around a network inside goes by the nodes of each', () =>
    expect(of('10.91.65.4', 0, worldOf([...sampleLines, 'allow guest -> 172.19.6.0/23']))).toEqual([
      'dns 172.19.0.53/32 n1,n2',
      'internal 172.19.6.0/23 n1,n2',
      'secret 172.19.7.0/24 n1',
    ]));
});
