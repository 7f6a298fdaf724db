import { describe, expect, test } from 'bun:test';
import { checkSource } from './check.ts';
import { addStatement, type Edited, removeAllow, removeNamed, removeVpnOnly } from './edit.ts';

const document = `# The company
role a
role b includes a   # b is more

network   net = 10.1.0.0/16 via n1 dev eth0 # odd   spacing
network other = 10.2.0.0/16 via n1 dev eth1

service web = 10.1.0.1 tcp/80

# grants
allow a, b -> net, web   # both
allow a    -> 10.2.3.0/24

vpn-only tcp/5432, udp/1-9 on n1 dev eno1   # database
test role:a -> web allowed
`;

const source = (edited: Edited) => (edited.ok ? edited.source : JSON.stringify(edited));
/** The lines that differ, as a person would show a change. */
const change = (edited: Edited) => {
  const [before, after] = [document.split('\n'), source(edited).split('\n')];
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `-${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+${line}`),
  ];
};

describe('adding', () => {
  test.each([
    ['role c', 4],
    ['network n2 = 10.3.0.0/16 via n1 dev eth2 no-nat', 7],
    ['service s2 = 10.1.0.2 tcp/1', 9],
    ['allow b -> other until 2030-01-01  # for a while', 13],
    ['vpn-only tcp/6379 on n1 dev eno1', 15],
    ['test role:b -> other denied', 16],
  ])('%s comes after the last line of its kind', (statement, line) => {
    const edited = addStatement(document, statement);
    expect(change(edited)).toEqual([`+${statement}`]);
    expect(source(edited).split('\n')[line - 1]).toBe(statement);
    expect(edited).toMatchObject({ ok: true, at: [line] });
  });

  test('the first of its kind comes at the end', () =>
    expect(source(addStatement('role a\n\n\n', 'allow a -> devices'))).toBe('role a\nallow a -> devices\n'));

  test('into an empty document', () => expect(source(addStatement('', 'role a'))).toBe('role a\n'));

  test.each([
    ['allow a,b->net,web', 'exists', [11]],
    ['network net = 10.9.0.0/16 via n1 dev e', 'exists', [5]],
    ['service net = 10.1.0.9 tcp/1', 'exists', [5]],
  ])('%s is there already', (statement, reason, lines) =>
    expect(addStatement(document, statement)).toEqual({ ok: false, reason: reason as 'exists', lines }),
  );

  test.each([
    '',
    '# only a comment',
    'nonsense',
    'allow a -> b\nallow everyone -> nodes',
    'role c\r\nallow everyone -> nodes',
  ])('%p is not one statement', (statement) =>
    expect(addStatement(document, statement)).toMatchObject({ ok: false, reason: 'unreadable' }),
  );
});

describe('removing what has a name', () => {
  test('is refused with the lines that use it', () => {
    expect(removeNamed(document, 'network', 'net')).toEqual({ ok: false, reason: 'in-use', lines: [8, 11] });
    expect(removeNamed(document, 'network', 'other')).toEqual({ ok: false, reason: 'in-use', lines: [12] });
    expect(removeNamed(document, 'service', 'web')).toEqual({ ok: false, reason: 'in-use', lines: [11, 15] });
    expect(removeNamed(document, 'role', 'a')).toEqual({ ok: false, reason: 'in-use', lines: [3, 11, 12, 15] });
    expect(removeNamed(document, 'role', 'zz')).toEqual({ ok: false, reason: 'unknown', lines: [] });
  });

  test('with its uses: grants keep what is left of them, tests of it go', () =>
    expect(change(removeNamed(document, 'service', 'web', 'remove'))).toEqual([
      '-service web = 10.1.0.1 tcp/80',
      '-allow a, b -> net, web   # both',
      '-test role:a -> web allowed',
      '+allow a, b -> net  # both',
    ]));

  test('a role goes from includes too, and a grant to nobody else goes whole', () =>
    expect(change(removeNamed(document, 'role', 'a', 'remove'))).toEqual([
      '-role a',
      '-role b includes a   # b is more',
      '-allow a, b -> net, web   # both',
      '-allow a    -> 10.2.3.0/24',
      '-test role:a -> web allowed',
      '+role b  # b is more',
      '+allow b -> net, web  # both',
    ]));

  test('a network never takes a service along', () =>
    expect(removeNamed(document, 'network', 'net', 'remove')).toEqual({ ok: false, reason: 'in-use', lines: [8] }));

  test('a network that nothing uses', () =>
    expect(change(removeNamed(document.replace('10.2.3.0', '10.1.3.0'), 'network', 'other'))).toContain(
      '-network other = 10.2.0.0/16 via n1 dev eth1',
    ));
});

describe('removing a grant', () => {
  test('splits a line that gives more', () => {
    const edited = removeAllow(document, { kind: 'role', role: 'a' }, { kind: 'named', name: 'web' });
    expect(change(edited)).toEqual([
      '-allow a, b -> net, web   # both',
      '+allow b -> net, web  # both',
      '+allow a -> net',
    ]);
    expect(checkSource(source(edited)).ok).toBe(true);
  });

  test('takes the line when it gives nothing else', () =>
    expect(
      change(removeAllow(document, { kind: 'role', role: 'a' }, { kind: 'literal', cidr: '10.2.3.0/24' })),
    ).toEqual(['-allow a    -> 10.2.3.0/24']));

  test('an unknown one is said', () =>
    expect(removeAllow(document, { kind: 'everyone' }, { kind: 'nodes' })).toMatchObject({ reason: 'unknown' }));
});

describe('opening a port to the public again', () => {
  test('the other ports of the line stay closed', () =>
    expect(change(removeVpnOnly(document, { protocol: 'tcp', first: 5432, last: 5432 }, 'n1', 'eno1'))).toEqual([
      '-vpn-only tcp/5432, udp/1-9 on n1 dev eno1   # database',
      '+vpn-only udp/1-9 on n1 dev eno1  # database',
    ]));

  test('a port inside a closed range is refused with the line', () =>
    expect(removeVpnOnly(document, { protocol: 'udp', first: 5, last: 5 }, 'n1', 'eno1')).toEqual({
      ok: false,
      reason: 'in-use',
      lines: [14],
    }));

  test('on another node or interface it is unknown', () =>
    expect(removeVpnOnly(document, { protocol: 'tcp', first: 5432, last: 5432 }, 'n2', 'eno1')).toMatchObject({
      reason: 'unknown',
    }));
});
