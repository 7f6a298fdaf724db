import { describe, expect, test } from 'bun:test';
import { checkAgainstRoster } from './check-roster.ts';
import { inDecember, inNovember, sampleLines, sampleRoster, worldOf } from './fixture/sample-world.ts';

const found = (line: string, now = inNovember, roster = sampleRoster) =>
  checkAgainstRoster(worldOf([...sampleLines, line], roster), now).map(({ severity, code, suggestion }) =>
    [severity, code, suggestion].filter(Boolean).join(' '),
  );

describe('a document in its world', () => {
  test.each([
    ['nothing wrong', '', []],
    ['a node that is none', 'network x = 192.168.0.0/24 via n3 dev eth0', ['error unknown-node n1']],
    ['a vpn-only port on a node that is none', 'vpn-only tcp/1 on n9 dev eth0', ['error unknown-node n1']],
    ['a network over the pool', 'network x = 10.0.0.0/8 via n1 dev eth0', ['error own-subnet']],
    ['a user who is none', 'allow alicia@example.com -> dns', ['warning unknown-user alice@example.com']],
    ['a device that is none', 'allow device:alice@example.com/tablet -> dns', ['warning unknown-device']],
    ['a test of a user who is none', 'test zoe@else.example -> dns allowed', ['warning unknown-user']],
  ])('%s', (_, line, expected) => expect(found(line)).toEqual(expected));

  test('the mesh between the nodes is ours too', () =>
    expect(found('network x = 10.5.0.0/24 via n1 dev e', 0, { ...sampleRoster, ownSubnets: ['10.5.0.0/24'] })).toEqual([
      'error own-subnet',
    ]));
  test('a grant that ran out', () => expect(found('', inDecember)).toEqual(['warning run-out']));
  test('a role that no line names', () =>
    expect(
      found('', 0, { ...sampleRoster, users: [...sampleRoster.users, { id: 'x', email: 'x@y.z', role: 'ops' }] }),
    ).toEqual(['warning role-without-line']));

  test('disabling everyone and revoking every device leaves warnings alone', () =>
    expect(
      found('', inNovember, { ...sampleRoster, users: [], devices: [] }).every((one) => one.startsWith('warning')),
    ).toBe(true));
});
