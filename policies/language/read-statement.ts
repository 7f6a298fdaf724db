import { readAddress, readSubnet } from './address.ts';
import type { LineReader } from './line-reader.ts';
import { readSubject, readTarget } from './read-party.ts';
import type {
  AllowStatement,
  At,
  GatewayPlace,
  NetworkStatement,
  Port,
  RoleStatement,
  ServiceStatement,
  Statement,
  TestStatement,
  VpnOnlyStatement,
} from './statement.ts';
import { looksLikePort, readDnsName, readInterface, readName, readPort, readPreset, readUntil } from './values.ts';

/** Reads one statement. It holds only if the reader is still sound; if not, the reader's diagnostics say why. */
export function readStatement(reader: LineReader, line: number): Statement | undefined | 'no-keyword' {
  if (reader.skipWord('role')) return readRole(reader, line);
  if (reader.skipWord('network')) return readNetwork(reader, line);
  if (reader.skipWord('service')) return readService(reader, line);
  if (reader.skipWord('allow')) return readAllow(reader, line);
  if (reader.skipWord('vpn-only')) return readVpnOnly(reader, line);
  if (reader.skipWord('test')) return readTest(reader, line);
  return 'no-keyword';
}

const roleName = (word: string) => readName(word, 'role');
const nodeName = (word: string) => readName(word, 'node');

function readRole(reader: LineReader, line: number): RoleStatement | undefined {
  const name = reader.value('the name of the role', roleName);
  const includes = reader.skipWord('includes')
    ? reader.list(() => reader.value('the name of a role to include', roleName))
    : [];
  reader.expectEnd(['includes'], '`includes` or the end of the line');
  return reader.sound && name ? { kind: 'role', line, name, includes } : undefined;
}

function readNetwork(reader: LineReader, line: number): NetworkStatement | undefined {
  const name = reader.value('the name of the network', (word) => readName(word, 'network'));
  reader.expectPunctuation('=', 'the name of the network');
  const cidr = reader.value('a subnet such as 172.19.0.0/16', readSubnet);
  reader.expectWord('via', 'the subnet');
  const gateways = reader.list(() => readGateway(reader));
  const noNat = reader.skipWord('no-nat') !== undefined;
  if (!noNat) reader.skipWord('nat');
  reader.expectEnd(['nat', 'no-nat'], '`,` and another gateway, `nat`, `no-nat` or the end of the line');
  return reader.sound && name && cidr ? { kind: 'network', line, name, cidr, gateways, nat: !noNat } : undefined;
}

function readGateway(reader: LineReader): GatewayPlace | undefined {
  const node = reader.value('the name of a node', nodeName);
  reader.expectWord('dev', 'the node');
  const device = reader.value('a network interface of the node', readInterface);
  return node && device ? { node, device } : undefined;
}

function readService(reader: LineReader, line: number): ServiceStatement | undefined {
  const name = reader.value('the name of the service', (word) => readName(word, 'service'));
  reader.expectPunctuation('=', 'the name of the service');
  const address = reader.value('the address of the service', readAddress);
  const ports = reader.list(() => reader.value('a port such as tcp/443', readPort));
  const dnsName = reader.skipWord('name') ? reader.value('a DNS name', readDnsName) : undefined;
  const front = reader.skipWord('front')
    ? reader.value('`https`, the one kind of front', (word) =>
        word === 'https'
          ? { ok: true, value: 'https' as const }
          : { ok: false, code: 'bad-front', message: `there is no front \`${word}\``, suggestion: 'https' },
      )
    : undefined;
  const preset =
    front !== undefined && reader.skipWord('preset') ? reader.value('the name of a preset', readPreset) : undefined;
  const [possible, expected] = afterService(dnsName !== undefined, front !== undefined, preset !== undefined);
  reader.expectEnd(possible, expected);
  return reader.sound && name && address
    ? { kind: 'service', line, name, address, ports, dnsName, front, preset }
    : undefined;
}

function afterService(hasName: boolean, hasFront: boolean, hasPreset: boolean): [string[], string] {
  if (hasPreset) return [[], 'the end of the line'];
  if (hasFront) return [['preset'], '`preset` or the end of the line'];
  if (hasName) return [['front'], '`front https` or the end of the line'];
  return [['name', 'front'], '`,` and another port, `name`, `front` or the end of the line'];
}

/** Returned even when part of the line is wrong, so that the names on it are checked all the same. */
function readAllow(reader: LineReader, line: number): AllowStatement {
  const subjects = reader.list(() => reader.value('a role, a user, a device or `everyone`', readSubject));
  reader.expectPunctuation('->', 'who is allowed');
  const targets = reader.list(() => reader.value('a network, a service, an address, `devices` or `nodes`', readTarget));
  const ports = readPorts(reader);
  const until = reader.skipWord('until') ? reader.value('a time such as 2026-12-01', readUntil) : undefined;
  reader.expectEnd(['until'], '`,` and another target, a port, `until` or the end of the line');
  return { kind: 'allow', line, subjects, targets, ports, until };
}

function readVpnOnly(reader: LineReader, line: number): VpnOnlyStatement | undefined {
  const ports = reader.list(() => readTransportPort(reader));
  reader.expectWord('on', 'the ports');
  const node = reader.value('the name of a node', nodeName);
  reader.expectWord('dev', 'the node');
  const device = reader.value('the public interface of the node', readInterface);
  const force = reader.skipWord('force') !== undefined;
  reader.expectEnd(['force'], '`force` or the end of the line');
  return reader.sound && node && device ? { kind: 'vpn-only', line, ports, node, device, force } : undefined;
}

function readTransportPort(reader: LineReader): VpnOnlyStatement['ports'][number] | undefined {
  const port = reader.value('a port such as tcp/5432', readPort);
  if (port === undefined) return undefined;
  const { value, ...place } = port;
  if (value.protocol !== 'icmp') return { value, ...place };
  reader.refuse(place, 'bad-port', 'icmp has no ports to close; name tcp or udp ports');
  return undefined;
}

function readTest(reader: LineReader, line: number): TestStatement | undefined {
  const subject = reader.value('a user, `role:NAME`, a device or `everyone`', readSubject);
  reader.expectPunctuation('->', 'the one who is tested');
  const target = reader.value('a network, a service, an address, `devices` or `nodes`', readTarget);
  const [port, second] = readPorts(reader);
  if (second !== undefined) reader.refuse(second, 'unexpected', 'a test tries one port; write a line for each');
  const word = reader.peek()?.text;
  const expected = word === 'denied' || word === 'allowed' ? word : undefined;
  if (expected === undefined) reader.expectEnd(['allowed', 'denied'], '`allowed` or `denied`');
  else reader.skipWord(expected);
  if (expected === undefined && reader.sound) reader.expectWord('allowed', 'the target (or `denied`)');
  reader.expectEnd([]);
  return reader.sound && subject && target && expected
    ? { kind: 'test', line, subject, target, port, expected }
    : undefined;
}

/** Ports that may be absent: whatever looks like one is read as one. */
function readPorts(reader: LineReader): At<Port>[] {
  const next = reader.peek();
  if (next?.kind !== 'word' || !looksLikePort(next.text)) return [];
  return reader.list(() => reader.value('a port such as tcp/443', readPort));
}
