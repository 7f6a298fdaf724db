import { describe, expect, test } from 'bun:test';
import { writtenStatement } from './format-statement.ts';
import { parse } from './parse.ts';

/** The line in its plain spelling, or the codes of what is wrong with it. */
const read = (line: string) => {
  const { document, diagnostics } = parse(line);
  const statement = document.lines[0]?.statement;
  return statement === undefined ? diagnostics.map(({ code }) => code) : writtenStatement(statement);
};

describe('lines that say something', () => {
  test.each([
    ['role a', 'role a'],
    ['role  a  includes b,c', 'role a includes b, c'],
    ['network x=10.0.0.0/8 via n1 dev eth0', 'network x = 10.0.0.0/8 via n1 dev eth0'],
    ['network x = 10.0.0.0/8 via n1 dev eth0 nat', 'network x = 10.0.0.0/8 via n1 dev eth0'],
    [
      'network x = 10.0.0.0/8 via n1 dev eth0,n2 dev b.7 no-nat',
      'network x = 10.0.0.0/8 via n1 dev eth0, n2 dev b.7 no-nat',
    ],
    [
      'service s = 10.0.0.1 tcp/80,icmp name s.x.y front https preset  vaultwarden',
      'service s = 10.0.0.1 tcp/80, icmp name s.x.y front https preset vaultwarden',
    ],
    ['allow Alice@Example.com -> x', 'allow alice@example.com -> x'],
    ['allow role:a -> x', 'allow a -> x'],
    ['test a -> x allowed', 'test role:a -> x allowed'],
    [
      'allow everyone,a -> 10.0.0.1/32, 10.0.0.0/24, devices, nodes',
      'allow everyone, a -> 10.0.0.1, 10.0.0.0/24, devices, nodes',
    ],
    ['allow device:a@b.c/"laptop" -> x', 'allow device:a@b.c/laptop -> x'],
    [
      'allow device:a@b.c/"my mac" -> x tcp/1-65535,udp/53 until 2026-12-01',
      'allow device:a@b.c/"my mac" -> x tcp/1-65535, udp/53 until 2026-12-01',
    ],
    ['vpn-only tcp/22, udp/1 on n1 dev eno1 force', 'vpn-only tcp/22, udp/1 on n1 dev eno1 force'],
    ['test everyone -> devices icmp denied', 'test everyone -> devices icmp denied'],
  ])('%s', (line, written) => expect(read(line)).toBe(written));
});

describe('lines that do not', () => {
  test.each([
    ['grant a -> b', ['no-statement']],
    ['role', ['unexpected']],
    ['role allow', ['reserved-word']],
    ['role devices', ['reserved-word']],
    ['network nodes = 10.0.0.0/8 via n1 dev e', ['reserved-word']],
    ['role a b', ['unexpected']],
    ['role a includes', ['unexpected']],
    ['role a includes b,', ['unexpected']],
    ['role -a', ['bad-name']],
    ['role a-', ['bad-name']],
    ['role a;b', ['bad-name']],
    ['role $(reboot)', ['bad-name']],
    ['role `id`', ['bad-name']],
    ['role *filter', ['bad-name']],
    ['role [Peer]', ['bad-name']],
    ['role a -j ACCEPT', ['unexpected']],
    ['role twenty-one-letters-xx', ['bad-name']],
    ['network x 10.0.0.0/8 via n1 dev e', ['unexpected']],
    ['network x = 10.0.0.0/8 via n1', ['unexpected']],
    ['network x = 10.0.0.0/8 via n1 dev -i', ['bad-interface']],
    ['network x = 10.0.0.0/8 via n1 dev a/b', ['bad-interface']],
    ['network x = 10.0.0.1/8 via n1 dev -i', ['host-bits', 'bad-interface']],
    ['network x = 10.0.0.0/8 via n1 dev e nat no-nat', ['unexpected']],
    ['service s = 10.0.0.1', ['unexpected']],
    ['service s = 10.0.0.1 tcp/0', ['bad-port']],
    ['service s = 10.0.0.1 tcp/65536', ['bad-port']],
    ['service s = 10.0.0.1 tcp/080', ['bad-port']],
    ['service s = 10.0.0.1 443/tcp', ['bad-port']],
    ['service s = 10.0.0.1 tcp/443 name a.b front https preset nextcloud', ['bad-preset']],
    ['service s = 10.0.0.1 tcp/443 name a.b preset gitlab', ['unexpected']],
    ['service s = 10.0.0.1 tcp/443 name a.b front https preset gitlab preset gitlab', ['unexpected']],
    ['service s = 10.0.0.1 tcp/443 front http', ['bad-front']],
    ['service s = 10.0.0.1 tcp/443 front https name a.b', ['unexpected']],
    ['service s = 10.0.0.1 tcp/443 name intranet', ['bad-dns-name']],
    ['service s = 10.0.0.1 tcp/443 name a.b;include', ['bad-dns-name']],
    ['allow a', ['unexpected']],
    ['allow -> b', ['unexpected']],
    ['allow a -> everyone', ['bad-target']],
    ['allow devices -> b', ['bad-subject']],
    ['allow 10.0.0.1 -> b', ['bad-subject']],
    ['allow a@b@c -> x', ['bad-email']],
    ['allow device:a@b.c -> x', ['bad-device']],
    ['allow device:a@b.c/ -> x', ['bad-device']],
    ['allow a -> b tcp/80-79', ['bad-port']],
    ['allow a -> b tcp/80:90', ['bad-port']],
    ['allow a -> b until', ['unexpected']],
    ['allow a -> b until 2026-02-30', ['bad-time']],
    ['allow a -> b until 2026-12-01T18:00', ['bad-time']],
    ['allow a -> b until 2026-12-01T18:00+01:00', ['bad-time']],
    ['allow a -> b until 2026-12-01T24:00Z', ['bad-time']],
    ['allow a -> b until 2026-12-01 tcp/80', ['unexpected']],
    ['vpn-only icmp on n1 dev e', ['bad-port']],
    ['vpn-only tcp/1 n1 dev e', ['unexpected']],
    ['test a -> b', ['unexpected']],
    ['test a -> b tcp/1, tcp/2 allowed', ['unexpected']],
    ['test a -> b yes', ['unexpected']],
  ])('%s', (line, codes) => expect(read(line)).toEqual(codes));
});

describe('addresses are read strictly, and the refusal says why', () => {
  test.each([
    ['010.0.0.1', 'not-an-address', 'octal'],
    ['0x0a.0.0.1', 'not-an-address', 'hexadecimal'],
    ['0x0a.1', 'not-an-address', 'hexadecimal'],
    ['10.1', 'not-an-address', '2 parts'],
    ['167772161', 'not-an-address', 'bare number'],
    ['10.0.0.256', 'not-an-address', 'at most 255'],
    ['10.0.0.0/33', 'not-an-address', 'longer than the 32 bits'],
    ['10.0.0.0/08', 'not-an-address', 'leading zero'],
    ['10.0.0.0/255.0.0.0', 'not-an-address', 'not a prefix length'],
    ['10.0.0.1/24', 'host-bits', 'begins at 10.0.0.0'],
    ['0.0.0.0/0', 'everything', 'every address'],
    ['0.0.0.0', 'unreachable-address', 'no network'],
    ['127.0.0.1', 'unreachable-address', 'loopback'],
    ['169.254.169.254', 'unreachable-address', 'link-local'],
    ['224.0.0.1', 'unreachable-address', 'multicast'],
    ['128.0.0.0/1', 'unreachable-address', 'link-local'],
    ['::ffff:10.0.0.1', 'ipv6-inside', 'IPv4 address in IPv6 clothes'],
    ['2001:db8::1', 'ipv6-inside', 'IPv4 only for now'],
    ['10.0.0.1.', 'not-an-address', 'is not a subnet'],
    ['10..0.1', 'not-an-address', 'is not a subnet'],
  ])('%s', (address, code, reason) => {
    const [found] = parse(`allow a -> ${address}`).diagnostics;
    expect(found).toMatchObject({ code, column: 12, length: address.length });
    expect(found?.message).toContain(reason);
  });
});

describe('suggestions', () => {
  test.each([
    ['Role a', 'role'],
    ['alow a -> b', 'allow'],
    ['group a', 'role'],
    ['role Developers', 'developers'],
    ['role my_role', 'my-role'],
    ['network x = 10.0.0.1/8 via n1 dev e', '10.0.0.0/8'],
    ['network x = 10.0.0.0/8 vai n1 dev e', 'via'],
    ['network x = 10.0.0.0/8 via n1 dev e nonat', 'no-nat'],
    ['service s = 10.0.0.1/32 tcp/1', '10.0.0.1'],
    ['allow a -> b 5432/tcp', 'tcp/5432'],
    ['allow a -> b TCP/80', 'tcp/80'],
    ['allow a -> b 8000:8100', 'tcp/8000-8100'],
    ['allow a -> b tcp/90-80', 'tcp/80-90'],
    ['allow a -> b until 2026-12-01T18:00', '2026-12-01T18:00Z'],
    ['allow devices -> b', 'everyone'],
    ['allow a -> everyone', 'devices'],
    ['allow device:a@b.c/Älg -> x', undefined],
    ['test a -> b allow', 'allowed'],
    ['service s = 10.0.0.1 tcp/1 name GIT.Corp', 'git.corp'],
    ['service s = 10.0.0.1 tcp/1 name a.b front https preset GitLabs', 'gitlab'],
  ])('%s: %s', (line, suggestion) => expect(parse(line).diagnostics[0]?.suggestion).toBe(suggestion));
});

describe('until', () => {
  test.each([
    ['2026-12-01', '2026-12-02T00:00:00.000Z'],
    ['2026-12-31', '2027-01-01T00:00:00.000Z'],
    ['2028-02-29', '2028-03-01T00:00:00.000Z'],
    ['2026-12-01T00:00Z', '2026-12-01T00:00:00.000Z'],
    ['2026-12-01T23:59:59Z', '2026-12-01T23:59:59.000Z'],
  ])('%s closes at %s', (written, moment) => {
    const statement = parse(`allow a -> b until ${written}`).document.lines[0]?.statement;
    expect(statement?.kind === 'allow' && new Date(statement.until?.value.at ?? 0).toISOString()).toBe(moment);
  });
});

describe('bounds', () => {
  test('a document past its limit is refused without being read', () => {
    const { document, diagnostics } = parse('#'.repeat(1_000_001));
    expect(document.lines).toEqual([]);
    expect(diagnostics.map(({ code }) => code)).toEqual(['document-too-long']);
  });

  test('a line that cannot be read leaves the others as they are', () => {
    const { document, diagnostics } = parse('role a\nrubbish\nrole b');
    expect(document.lines.map(({ statement }) => statement?.kind)).toEqual(['role', undefined, 'role']);
    expect(diagnostics.map(({ line, code }) => [line, code])).toEqual([[2, 'no-statement']]);
  });
});
