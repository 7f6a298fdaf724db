import { describe, expect, test } from 'bun:test';
import { diff } from './diff.ts';
import { inNovember, sampleLines, sampleRoster, sampleWorld, worldOf } from './fixture/sample-world.ts';

const words = (change: (lines: string[]) => string[]) =>
  diff(sampleWorld(), worldOf(change([...sampleLines])), inNovember).words;
const replaced = (from: string, to: string) => (lines: string[]) => lines.map((line) => line.replace(from, to));
const nothing = ['Nobody gains or loses access.'];

describe('what is said in another way is no change', () => {
  test.each([
    ['comments and order of lines', (lines: string[]) => ['# new', ...lines.toReversed()]],
    [
      'a line in two',
      (lines: string[]) =>
        [...lines, 'allow developer -> gitlab', 'allow developer -> vault'].filter(
          (line) => line !== 'allow developer -> gitlab, vault',
        ),
    ],
    ['a network as its address', replaced('allow everyone -> dns', 'allow everyone -> 172.19.0.53 tcp/53, udp/53')],
    [
      'a narrower line beside a wider one',
      (lines: string[]) => [
        ...lines,
        'allow admin -> 172.19.3.0/24 tcp/80',
        'allow admin -> internal until 2027-01-01',
      ],
    ],
    [
      'a network under another name',
      (lines: string[]) =>
        lines.map((line) =>
          line
            .replaceAll('internal', line.includes('corp.internal') ? 'internal' : 'inner')
            .replaceAll('br-inner', 'br-internal'),
        ),
    ],
  ])('%s', (_, change) => expect(words(change)).toEqual(nothing));
});

describe('what changes is said by user and target', () => {
  test("a grant to a role is its people's", () =>
    expect(words((lines) => [...lines, 'allow developer -> secret tcp/22'])).toEqual([
      'alice@example.com, dan@example.com, bob@example.com:',
      '  + secret tcp/22  (line 17)',
    ]));

  test('a narrowed grant takes the rest, but for what other lines open', () => {
    const narrowed = replaced('allow admin -> internal, devices', 'allow admin -> internal tcp/443');
    expect(words(narrowed)).toEqual([
      'bob@example.com:',
      '  - internal tcp/1-442, tcp/444-65535, every udp port, icmp, other protocols, but for what other lines open  (line 11)',
      '  - devices every port  (line 11)',
    ]);
    const [change] = diff(sampleWorld(), worldOf(narrowed([...sampleLines])), inNovember).changes;
    expect(change?.taken[0]?.pieces.find(({ addresses }) => addresses.join() === '172.19.0.53')?.ports).toEqual([
      'tcp/1-52',
      'tcp/54-442',
      'tcp/444-65535',
      'udp/1-52',
      'udp/54-65535',
      'icmp',
      'other protocols',
    ]);
  });

  test('a later end gives the time between', () =>
    expect(words(replaced('until 2026-12-01T00:00Z', 'until 2026-12-24'))).toEqual([
      'alice@example.com:',
      '  + sandbox tcp/5432 from 2026-12-01T00:00:00.000Z until 2026-12-25T00:00:00.000Z  (line 13)',
    ]));

  test('a network that moved', () =>
    expect(words(replaced('172.17.0.0/16', '172.17.0.0/17')).join('\n')).toContain(
      '- sandbox (172.17.128.0/17) tcp/5432 until 2026-12-01T00:00:00.000Z',
    ));

  test('a network inside another takes its addresses from the grants to it', () =>
    expect(words((lines) => [...lines, 'network lab = 172.19.9.0/24 via n1 dev br9']).join('\n')).toContain(
      '- internal (172.19.9.0/24) every port  (line 11)',
    ));

  test('another backend behind a front is another place', () =>
    expect(words(replaced('172.19.0.11 tcp/8080', '172.19.0.12 tcp/8080')).join('\n')).toContain('+ vault tcp/443'));

  test('a port of a node that everyone may use now', () =>
    expect(words((lines) => [...lines, 'vpn-only tcp/6379 on n2 dev eno1']).join('\n')).toContain(
      '+ nodes tcp/6379 on n2',
    ));

  test('an included role', () =>
    expect(words(replaced('role guest', 'role guest includes developer'))).toEqual([
      'carol@example.com:',
      '  + gitlab tcp/443, tcp/22  (line 10)',
      '  + vault tcp/443  (line 10)',
    ]));
});

describe('who is named by a line', () => {
  test('stands with the others of the role, and once more with what the line changes', () =>
    expect(words((lines) => [...lines, 'allow developer -> secret', 'allow dan@example.com -> devices'])).toEqual([
      'alice@example.com, dan@example.com, bob@example.com:',
      '  + secret every port  (line 17)',
      'dan@example.com:',
      '  + devices every port  (line 18)',
    ]));

  test('stands alone where the line opens what changes for the others', () =>
    expect(
      diff(
        worldOf([...sampleLines, 'allow dan@example.com -> secret tcp/22']),
        worldOf([...sampleLines, 'allow dan@example.com -> secret tcp/22', 'allow developer -> secret']),
        inNovember,
      ).words,
    ).toEqual([
      'alice@example.com, bob@example.com:',
      '  + secret every port  (line 18)',
      'dan@example.com:',
      '  + secret tcp/1-21, tcp/23-65535, every udp port, icmp, other protocols  (line 18)',
    ]));

  test('by a device, has that alone', () =>
    expect(words((lines) => [...lines, 'allow device:dan@example.com/laptop -> dns, devices'])).toEqual([
      'device:dan@example.com/laptop:',
      '  + devices every port  (line 17)',
    ]));
});

test('ten thousand people of one role are compared once, and named in part', () => {
  const users = Array.from({ length: 10_000 }, (_, i) => ({ id: `u${i}`, email: `u${i}@example.com`, role: 'guest' }));
  const roster = { ...sampleRoster, users };
  const result = diff(worldOf([...sampleLines], roster), worldOf([...sampleLines, 'allow guest -> vault'], roster), 0);
  expect(result.changes.map(({ who }) => who.length)).toEqual([10_000]);
  expect(result.words[0]).toContain('and 9995 more');
});
