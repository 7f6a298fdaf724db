import { describe, expect, test } from 'bun:test';
import { checkSource } from './check.ts';

/** `line code` of everything found, warnings with a `?`. */
const found = (...lines: string[]) => {
  const checked = checkSource(lines.join('\n'));
  const all = checked.ok ? checked.warnings : checked.diagnostics;
  return all.map(({ line, code, severity }) => `${line} ${code}${severity === 'warning' ? '?' : ''}`);
};
const first = (...lines: string[]) => {
  const checked = checkSource(lines.join('\n'));
  return (checked.ok ? checked.warnings : checked.diagnostics)[0];
};

const role = 'role a';
const net = 'network net = 10.1.0.0/16 via n1 dev eth0';
const service = 'service web = 10.1.0.1 tcp/80, tcp/22';
const front = 'service web = 10.1.0.1 tcp/8080, tcp/22 name web.corp.internal front https';

describe('names', () => {
  test.each([
    ['a role no line names', [role, 'allow b -> devices'], ['2 unknown-role']],
    ['a target no line names', [role, 'allow a -> x'], ['2 unknown-target']],
    ['a test of what no line names', ['test role:a -> x allowed'], ['1 unknown-role', '1 unknown-target']],
    ['an included role no line names', ['role a includes b'], ['1 unknown-role']],
    ['names used before they are given', ['allow a -> net', net, role], []],
    ['a role named twice', [role, role], ['2 duplicate-name']],
    ['a network and a service of one name', [net, 'service net = 10.1.0.1 tcp/80'], ['2 duplicate-name']],
    ['a role and a network of one name', ['role net', net], []],
    [
      'the same DNS name twice',
      [net, front, front.replace('web =', 'web2 =').replace('0.1 ', '0.2 ')],
      ['3 duplicate-dns-name'],
    ],
    [
      'a name on a line that cannot be read is not unknown too',
      ['network x = 10.1/16 via n1 dev e', role, 'allow a -> x, 10.1.0.0/24'],
      ['1 not-an-address'],
    ],
    [
      'names on a grant that cannot be read are checked',
      [role, 'allow b -> x tcp/0'],
      ['2 unknown-role', '2 unknown-target', '2 bad-port'],
    ],
  ])('%s', (_, lines, expected) => expect(found(...lines)).toEqual(expected));

  test.each([
    [['role developer', 'allow devloper -> devices'], 'developer'],
    [['role developer', 'allow everione -> devices'], 'everyone'],
    [[net, role, 'allow a -> nett'], 'net'],
    [[role, 'allow a -> device2'], 'devices'],
    [[role, 'allow a -> something'], undefined],
  ])('%p: did you mean %s', (lines, suggestion) => expect(first(...lines)?.suggestion).toBe(suggestion));
});

describe('includes', () => {
  test.each([
    ['itself', ['role a includes a'], ['1 include-cycle']],
    ['in a circle of two', ['role a includes b', 'role b includes a'], ['2 include-cycle']],
    [
      'in a circle of three, with a way in',
      ['role x includes a', 'role a includes b', 'role b includes c', 'role c includes a'],
      ['4 include-cycle'],
    ],
    ['a diamond is no circle', ['role a includes b, c', 'role b includes d', 'role c includes d', 'role d'], []],
    ['the same one twice', ['role a includes b, b', 'role b'], ['1 repeated?']],
  ])('%s', (_, lines, expected) => expect(found(...lines)).toEqual(expected));

  test('the message shows the circle', () =>
    expect(first('role a includes b', 'role b includes a')?.message).toContain('a > b > a'));

  test('ten thousand roles in a row', () => {
    const chain = Array.from({ length: 9_999 }, (_, i) => `role r${i} includes r${i + 1}`);
    expect(found(...chain, 'role r9999')).toEqual([]);
    expect(found(...chain, 'role r9999 includes r0')).toEqual(['10000 include-cycle']);
  });
});

describe('networks that overlap', () => {
  test.each([
    ['the same subnet is an error', [net, net.replace(' net ', ' other ')], ['2 same-subnet']],
    ['one inside another is said', [net, 'network in = 10.1.7.0/24 via n1 dev eth1'], ['2 nested-network?']],
    ['the other order too', ['network in = 10.1.7.0/24 via n1 dev eth1', net], ['1 nested-network?']],
    ['neighbours are fine', [net, 'network next = 10.2.0.0/16 via n1 dev eth1'], []],
    ['one node twice', ['network net = 10.1.0.0/16 via n1 dev eth0, n1 dev eth1'], ['1 repeated-gateway']],
  ])('%s', (_, lines, expected) => expect(found(...lines)).toEqual(expected));

  test('the warning says which grant opens it', () =>
    expect(first(net, 'network in = 10.1.7.0/24 via n1 dev eth1')?.message).toContain('by grants to in alone'));
});

describe('services and literals', () => {
  test.each([
    ['a service in no network', ['service web = 10.1.0.1 tcp/80'], ['1 no-way']],
    ['a literal in no network', [role, net, 'allow a -> 10.2.0.1'], ['3 no-way']],
    ['a literal wider than its network', [role, net, 'allow a -> 10.0.0.0/8'], ['3 no-way']],
    ['a literal in a network', [role, net, 'allow a -> 10.1.3.0/24, 10.1.0.0/16, 10.1.0.1'], []],
    ['a port the service has', [role, net, service, 'allow a -> web tcp/22'], []],
    ['a port it has not', [role, net, service, 'allow a -> web tcp/23'], ['4 port-not-offered']],
    ["a front hides the backend's port", [role, net, front, 'allow a -> web tcp/8080'], ['4 port-not-offered']],
    ['a front answers tcp/443', [role, net, front, 'allow a -> web tcp/443'], []],
    ['a front without a name', [net, 'service web = 10.1.0.1 tcp/80 front https'], ['2 front-without-name']],
    ['a front to a range', [net, front.replace('8080', '80-90')], ['2 front-port']],
    ['a front to udp', [net, front.replace('tcp/8080', 'udp/80')], ['2 front-port']],
    ['a front whose own port is taken', [net, front.replace('tcp/22', 'tcp/400-500')], ['2 front-port']],
    ['a port twice', [net, 'service web = 10.1.0.1 tcp/80-90, tcp/85'], ['2 repeated?']],
  ])('%s', (_, lines, expected) => expect(found(...lines)).toEqual(expected));
});

describe('grants that say the same', () => {
  test.each([
    ['twice', ['allow a -> net', 'allow a -> net'], ['4 repeated-line?']],
    [
      'in another order',
      ['allow a, everyone -> net, devices', 'allow everyone, a -> devices, net'],
      ['4 repeated-line?'],
    ],
    ['with another end', ['allow a -> net', 'allow a -> net until 2030-01-01'], []],
    ['on one line', ['allow a, a -> net, net tcp/1, tcp/1'], ['3 repeated?', '3 repeated?', '3 repeated?']],
  ])('%s', (_, lines, expected) => expect(found(role, net, ...lines)).toEqual(expected));
});

describe('vpn-only', () => {
  test.each([
    ['tcp/5432', 'tcp/5432', []],
    ['SSH needs force', 'tcp/22', ['1 closes-ssh']],
    ['a range with SSH in it', 'tcp/1-100', ['1 closes-ssh']],
    ['WireGuard never', 'udp/51820', ['1 own-port']],
    ['the API never', 'tcp/8000-9000', ['1 own-port']],
    ['udp/22 is not SSH', 'udp/22', []],
    ['the same twice', 'tcp/1, tcp/1', ['1 repeated?']],
  ])('%s', (_, ports, expected) => expect(found(`vpn-only ${ports} on n1 dev eno1`)).toEqual(expected));

  test('force lets SSH be closed, not WireGuard', () =>
    expect(found('vpn-only tcp/22, udp/51820 on n1 dev e force')).toEqual(['1 own-port']));
  test('force that does nothing is said', () =>
    expect(found('vpn-only tcp/5 on n1 dev e force')).toEqual(['1 needless-force?']));
});

describe('a large document', () => {
  const large = [
    ...Array.from({ length: 500 }, (_, i) => `role r${i}${i > 0 ? ` includes r${i - 1}` : ''}`),
    ...Array.from({ length: 1_500 }, (_, i) => `network n${i} = 10.${i >> 8}.${i & 255}.0/24 via n1 dev eth${i}`),
    ...Array.from({ length: 1_500 }, (_, i) => `service s${i} = 10.${i >> 8}.${i & 255}.7 tcp/443`),
    ...Array.from({ length: 6_500 }, (_, i) => `allow r${i % 500} -> n${i % 1500}, s${(i * 7) % 1500} tcp/443 # ${i}`),
  ];
  const seconds = (source: string) => {
    const start = performance.now();
    const checked = checkSource(source);
    return { checked, seconds: (performance.now() - start) / 1000 };
  };

  /** Measured: 0.3 s and 0.7 s. The bound is loose because the machine may be busy. */
  test('10,000 lines are read and checked in seconds, right or wrong', () => {
    const right = seconds(large.join('\n'));
    expect(right.checked.ok).toBe(true);
    expect(right.seconds).toBeLessThan(4);
    const wrong = seconds(large.join('\n').replaceAll('-> n', '-> nn'));
    expect(
      wrong.checked.ok ? 0 : wrong.checked.diagnostics.filter(({ code }) => code === 'unknown-target').length,
    ).toBe(6_500);
    expect(wrong.seconds).toBeLessThan(8);
  });
});

describe('a megabyte of anything is bounded', () => {
  const megabyte = (line: (i: number) => string) => {
    const lines: string[] = [];
    for (let size = 0, i = 0; size < 980_000; i++) {
      const text = line(i);
      lines.push(text);
      size += text.length + 1;
    }
    return lines.join('\n');
  };

  /** Measured: 0.02 to 2 s each. Anything that grew with the square of the lines took minutes. */
  test.each([
    ['names nobody gave', (i: number) => `role q${i}\nallow zz${i} -> yy${i}`],
    ['roles in circles', (i: number) => `role r${i} includes r${i + 1}, r0`],
    ['one port closed again and again', () => 'vpn-only tcp/5432 on n1 dev eno1'],
    ['networks', (i: number) => `network n${i} = ${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24 via n1 dev e`],
    ['commas', () => ','.repeat(999)],
    ['quotes', () => '"'.repeat(999)],
    ['letters that are not ASCII', () => 'а'.repeat(999)],
  ])('%s', (_, line) => {
    const source = megabyte(line);
    const start = performance.now();
    checkSource(source);
    expect(performance.now() - start).toBeLessThan(15_000);
  });
});
