import { checkSource } from '#policies/language/check.ts';
import { renderDiagnostics } from '#policies/language/diagnostic.ts';
import { format } from '#policies/language/format.ts';
import type { PolicyRoster } from '#policies/meaning/roster.ts';
import { resolve, type World } from '#policies/meaning/world.ts';
import type { Dice } from './dice.ts';

/** Small random companies: every construct of the language is likely, and everything is close to everything else. */

export const testNow = Date.UTC(2026, 10, 22, 12);

const places = [
  { name: 'net-a', cidr: '10.1.0.0/16', hosts: ['10.1.0.5', '10.1.0.9', '10.1.4.5', '10.1.4.20'] },
  { name: 'net-b', cidr: '10.1.4.0/24', hosts: ['10.1.4.5', '10.1.4.20'] },
  { name: 'net-c', cidr: '10.1.4.16/28', hosts: ['10.1.4.20', '10.1.4.25'] },
  { name: 'net-d', cidr: '10.2.0.0/16', hosts: ['10.2.0.5', '10.2.0.9'] },
  { name: 'net-e', cidr: '192.168.5.0/24', hosts: ['192.168.5.5', '192.168.5.200'] },
] as const;
const devices = ['br0', 'br1', 'eth1'] as const;
const roles = ['ra', 'rb', 'rc', 'rd'] as const;
const emails = ['a@x.y', 'b@x.y', 'c@x.y', 'd@x.y'] as const;
const deviceNames = ['laptop', 'phone', 'Old Mac'] as const;
const servicePorts = ['tcp/80', 'tcp/8080', 'tcp/22', 'tcp/9000-9010', 'udp/53', 'udp/100-200', 'icmp'] as const;
const grantPorts = [
  'tcp/443',
  'tcp/80',
  'tcp/22',
  'tcp/75-90',
  'udp/53',
  'udp/50-60',
  'icmp',
  'tcp/5432',
  'tcp/1-65535',
] as const;
const literals = [
  '10.1.4.0/24',
  '10.1.4.16/28',
  '10.1.0.5',
  '10.1.0.0/16',
  '10.1.4.20',
  '10.1.4.0/22',
  '10.2.0.9',
  '10.2.128.0/17',
  '192.168.5.0/25',
] as const;

export interface RandomWorld {
  readonly source: string;
  readonly world: World;
}

/** A document that has no errors, spelled at random, and a roster for it. */
export function randomWorld(dice: Dice): RandomWorld {
  const lines = documentLines(dice);
  const plain = lines.join('\n');
  const source = dice.chance(50) ? format(plain) : plain;
  const checked = checkSource(source);
  if (!checked.ok) throw new Error(renderDiagnostics(source, checked.diagnostics));
  return { source, world: resolve(checked.document, randomRoster(dice, lines)) };
}

function documentLines(dice: Dice): string[] {
  const usedRoles = dice.some(roles, 2);
  const networks = dice.some(places, 1, 4);
  const services = dice
    .some(['web', 'git', 'dns'] as const, dice.chance(80) ? 1 : 0)
    .map((name) => serviceLine(dice, name, dice.pick(dice.pick(networks).hosts)));
  const targets = [
    ...networks.map(({ name }) => name),
    ...services.map(({ name }) => name),
    ...services.map(({ name }) => name),
    ...literals.filter((literal) => networks.some(({ cidr }) => lies(literal, cidr))),
    'devices',
    'devices',
    'nodes',
    'nodes',
  ];
  const allows = Array.from({ length: 2 + dice.roll(7) }, () => allowLine(dice, usedRoles, targets, services));
  const lines = [
    ...usedRoles.map(
      (role, i) =>
        `role ${role}${i > 0 && dice.chance(50) ? ` includes ${dice.some(usedRoles.slice(0, i), 1).join(', ')}` : ''}`,
    ),
    ...networks.map(
      ({ name, cidr }) => `network ${name} = ${cidr} via ${gateways(dice)}${dice.chance(40) ? ' no-nat' : ''}`,
    ),
    ...services.map(({ line }) => line),
    ...new Set(allows),
    ...dice
      .some(['n1', 'n2'] as const, 0)
      .map(
        (node) =>
          `vpn-only ${dice.some(['tcp/5432', 'udp/53', 'tcp/75-90'], 1).join(', ')} on ${node} dev ${dice.pick(['eno1', 'eno1', 'eth1'])}`,
      ),
    ...(dice.chance(30) ? ['# a comment'] : []),
  ];
  return lines.map((line) => (dice.chance(10) ? `${line}   # why` : line));
}

function gateways(dice: Dice): string {
  return dice
    .some(['n1', 'n2'] as const, 1)
    .map((node) => `${node} dev ${dice.pick(devices)}`)
    .join(', ');
}

interface RandomService {
  readonly name: string;
  readonly visible: readonly string[];
  readonly line: string;
}

function serviceLine(dice: Dice, name: string, host: string): RandomService {
  const fronted = dice.chance(65);
  const ports = dice.some(servicePorts, 1, 4);
  const [first = 'tcp/80', ...others] = ports;
  const own = first.startsWith('tcp') && !first.includes('-') ? first : 'tcp/8080';
  const rest = others.filter((port) => port !== own);
  if (!fronted) return { name, visible: ports, line: `service ${name} = ${host} ${ports.join(', ')}` };
  return {
    name,
    visible: ['tcp/443', ...rest],
    line: `service ${name} = ${host} ${[own, ...rest].join(', ')} name ${name}.corp.internal front https`,
  };
}

function allowLine(
  dice: Dice,
  usedRoles: readonly string[],
  targets: readonly string[],
  services: readonly RandomService[],
): string {
  const subjects = dice.some(
    [
      dice.pick(usedRoles),
      dice.pick(usedRoles),
      dice.pick(emails),
      `device:${dice.pick(emails)}/${dice.pick(['laptop', 'phone', '"Old Mac"'])}`,
      'everyone',
    ].filter((subject, i, all) => all.indexOf(subject) === i && (subject !== 'everyone' || dice.chance(40))),
    1,
    2,
  );
  const chosen = [...new Set([dice.pick(targets), ...(dice.chance(35) ? [dice.pick(targets)] : [])])];
  const offered = chosen.flatMap((target) =>
    services.filter(({ name }) => name === target).map(({ visible }) => visible),
  );
  const possible =
    offered.length === 0
      ? grantPorts
      : (offered[0] ?? []).filter((port) => offered.every((ports) => ports.includes(port)));
  const ports = possible.length > 0 && dice.chance(55) ? ` ${dice.some(possible, 1, 3).join(', ')}` : '';
  return `allow ${subjects.join(', ')} -> ${chosen.join(', ')}${ports}${dice.chance(40) ? ` until ${untilWord(dice)}` : ''}`;
}

/** Ends around now: long ago, just now, this second, soon, and further away than an element can live. */
function untilWord(dice: Dice): string {
  if (dice.chance(20)) return dice.pick(['2026-11-21', '2026-11-22', '2026-12-24']);
  const seconds = dice.pick([-86_400, -1, 0, 1, 3600, 3600, 86_400, 90 * 86_400, 400 * 86_400]);
  return `${new Date(testNow + seconds * 1000).toISOString().slice(0, 19)}Z`;
}

function randomRoster(dice: Dice, lines: readonly string[]): PolicyRoster {
  const users = dice.some(emails, 2).map((email) => ({ id: email, email, role: dice.pick([...roles, 'unknown']) }));
  const fronts = lines
    .filter((line) => line.includes('front https'))
    .flatMap((line, i) =>
      dice.chance(90) ? [{ service: line.split(' ')[1] ?? '', address: `10.91.127.${i + 1}` }] : [],
    );
  return {
    pool: '10.91.64.0/18',
    users,
    devices: Array.from({ length: 3 + dice.roll(5) }, (_, i) => ({
      userId: dice.pick(users).id,
      name: dice.pick(deviceNames),
      address: `10.91.65.${i + 1}`,
    })),
    nodes: [
      { name: 'n1', tunnelAddress: '10.91.64.2' },
      { name: 'n2', tunnelAddress: '10.91.64.3' },
    ],
    fronts,
    ...(dice.chance(50) ? { vip: '10.91.64.1' } : {}),
    ...(dice.chance(50) ? { api: { node: dice.pick(['n1', 'n2']), port: 8443 } } : {}),
  };
}

function lies(literal: string, cidr: string): boolean {
  const number = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const [base = '', bits = '32'] = literal.split('/');
  const [outer = '', outerBits = '32'] = cidr.split('/');
  const size = 2 ** (32 - Number(outerBits));
  return Number(bits) >= Number(outerBits) && Math.floor(number(base) / size) === Math.floor(number(outer) / size);
}
