import { describe, expect, test } from 'bun:test';
import { type DesiredInterface, type ObservedTunnel, planInterface } from './interface.ts';

const desired: DesiredInterface = {
  name: 'wg0',
  publicKey: 'KEY',
  listenPort: 51820,
  addresses: ['10.91.0.2/18'],
  moving: '10.91.0.1/32',
  mtu: 1420,
  forwarding: ['br-internal'],
};
const link = { publicKey: 'KEY', listenPort: 51820, addresses: ['10.91.0.2/18'], mtu: 1420, isUp: true };
const on = new Map([
  ['wg0', true],
  ['br-internal', true],
]);
const observed = (
  change: Partial<typeof link> | undefined,
  forwarding: ReadonlyMap<string, boolean> = on,
): ObservedTunnel => ({
  link: change && { ...link, ...change },
  forwarding,
  picksUpFlows: false,
});

const none = new Map<string, boolean>();
const cases = [
  { name: 'nothing to do on a tunnel as it should be', before: observed({}), steps: [] },
  {
    name: 'another key',
    before: observed({ publicKey: 'OTHER' }),
    steps: [{ kind: 'configure-wireguard', listenPort: 51820 }],
  },
  {
    name: 'another port',
    before: observed({ listenPort: 1 }),
    steps: [{ kind: 'configure-wireguard', listenPort: 51820 }],
  },
  { name: 'another MTU', before: observed({ mtu: 1500 }), steps: [{ kind: 'set-mtu', mtu: 1420 }] },
  { name: 'a tunnel that is down', before: observed({ isUp: false }), steps: [{ kind: 'bring-up' }] },
  {
    name: 'a second address',
    before: observed({ addresses: ['10.91.0.2/18', '10.0.0.1/8'] }),
    steps: [{ kind: 'remove-interface-address', address: '10.0.0.1/8' }],
  },
  {
    name: 'the address that keepalived puts there',
    before: observed({ addresses: ['10.91.0.2/18', '10.91.0.1/32'] }),
    steps: [],
  },
  {
    name: 'the right address with another prefix',
    before: observed({ addresses: ['10.91.0.2/32'] }),
    steps: [
      { kind: 'remove-interface-address', address: '10.91.0.2/32' },
      { kind: 'add-interface-address', address: '10.91.0.2/18' },
    ],
  },
  {
    name: 'forwarding that was switched off',
    before: observed({}, new Map(on).set('br-internal', false)),
    steps: [{ kind: 'set-forwarding', device: 'br-internal', enabled: true }],
  },
  {
    name: 'a kernel that takes what it does not know for a new flow',
    before: { ...observed({}), picksUpFlows: true },
    steps: [{ kind: 'pick-up-flows', enabled: false }],
  },
  { name: 'a gateway whose interface is not there', before: observed({}, new Map([['wg0', true]])), steps: [] },
];

describe('planInterface', () => {
  test.each(cases)('$name', ({ before, steps }) =>
    expect(planInterface(before, desired, none)).toEqual(steps as never),
  );

  test('a tunnel is made from nothing, and comes up last', () => {
    const steps = planInterface(observed(undefined, new Map([['br-internal', false]])), desired, none);
    expect(steps.map((step) => step.kind)).toEqual([
      'create-interface',
      'configure-wireguard',
      'set-mtu',
      'add-interface-address',
      'set-forwarding',
      'set-forwarding',
      'bring-up',
    ]);
  });

  test.each([
    [
      'that was off before us goes off again',
      new Map([['old', false]]),
      [{ kind: 'set-forwarding', device: 'old', enabled: false }],
    ],
    ['that was on before us stays on', new Map([['old', true]]), []],
  ])('forwarding of a device no longer needed, %s', (_, found, steps) =>
    expect(planInterface(observed({}, new Map(on).set('old', true)), desired, found)).toEqual(steps as never),
  );
});
