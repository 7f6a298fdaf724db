import { describe, expect, test } from 'bun:test';
import { type DesiredInterface, planForwarding, planInterface, planLoopback } from './interface.ts';

const desired: DesiredInterface = {
  name: 'wg0',
  publicKey: 'KEY',
  listenPort: 51820,
  addresses: ['10.91.0.2/18'],
  foreign: ['10.91.0.1/32'],
  mtu: 1420,
};
const link = { publicKey: 'KEY', listenPort: 51820, addresses: ['10.91.0.2/18'], mtu: 1420, isUp: true };
const on = 'wg0';

const cases = [
  { name: 'nothing to do on a tunnel as it should be', change: {}, steps: [] },
  {
    name: 'another key',
    change: { publicKey: 'OTHER' },
    steps: [{ kind: 'configure-wireguard', on, listenPort: 51820 }],
  },
  { name: 'another port', change: { listenPort: 1 }, steps: [{ kind: 'configure-wireguard', on, listenPort: 51820 }] },
  { name: 'another MTU', change: { mtu: 1500 }, steps: [{ kind: 'set-mtu', on, mtu: 1420 }] },
  { name: 'a tunnel that is down', change: { isUp: false }, steps: [{ kind: 'bring-up', on }] },
  {
    name: 'a second address',
    change: { addresses: ['10.91.0.2/18', '10.0.0.1/8'] },
    steps: [{ kind: 'remove-interface-address', on, address: '10.0.0.1/8' }],
  },
  { name: 'the address that others move there', change: { addresses: ['10.91.0.2/18', '10.91.0.1/32'] }, steps: [] },
  {
    name: 'the right address with another prefix',
    change: { addresses: ['10.91.0.2/32'] },
    steps: [
      { kind: 'remove-interface-address', on, address: '10.91.0.2/32' },
      { kind: 'add-interface-address', on, address: '10.91.0.2/18' },
    ],
  },
];

describe('planInterface', () => {
  test.each(cases)('$name', ({ change, steps }) =>
    expect(planInterface({ ...link, ...change }, desired)).toEqual(steps as never),
  );

  test('a tunnel is made from nothing, and comes up last', () =>
    expect(planInterface(undefined, desired).map((step) => step.kind)).toEqual([
      'create-interface',
      'configure-wireguard',
      'set-mtu',
      'add-interface-address',
      'bring-up',
    ]));
});

describe('planForwarding', () => {
  const both = new Map([
    ['wg0', true],
    ['br-internal', true],
  ]);
  const set = (device: string, enabled: boolean) => ({ kind: 'set-forwarding', device, enabled });
  const plan = (change: [string, boolean][], found: [string, boolean][] = [], picksUpFlows = false) =>
    planForwarding(
      { forwarding: new Map([...both, ...change]), picksUpFlows },
      ['wg0', 'br-internal', 'gone0'],
      new Map(found),
      [],
    );

  test('nothing to do, also for a gateway whose interface is not there', () => expect(plan([])).toEqual([]));
  test('what was switched off goes on', () =>
    expect(plan([['br-internal', false]])).toEqual([set('br-internal', true)] as never));
  test('an interface that is made in this plan', () =>
    expect(planForwarding({ forwarding: both, picksUpFlows: false }, ['wg0'], new Map(), ['wg0'])).toEqual([
      set('wg0', true),
    ] as never));
  test('a kernel that takes what it does not know for a new flow', () =>
    expect(plan([], [], true)).toEqual([{ kind: 'pick-up-flows', enabled: false }]));
  test('a device no longer needed goes off again where it was off before us', () =>
    expect(plan([['old', true]], [['old', false]])).toEqual([set('old', false)] as never));
  test('and stays on where it was on', () => expect(plan([['old', true]], [['old', true]])).toEqual([]));
});

test('planLoopback takes the address of before and gives that of now', () =>
  expect(planLoopback(['10.91.0.1/32'], ['10.91.0.9/32'])).toEqual([
    { kind: 'remove-interface-address', on: 'lo', address: '10.91.0.1/32' },
    { kind: 'add-interface-address', on: 'lo', address: '10.91.0.9/32' },
  ]));
