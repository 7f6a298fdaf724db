import { type Ipv4, ipv4ToNumber, numberToIpv4 } from '#contract/network.ts';
import { compileFirewall } from '#policies/compile/compile.ts';
import { checkSource } from '#policies/language/check.ts';
import type { PolicyRoster } from '#policies/meaning/roster.ts';
import { resolve } from '#policies/meaning/world.ts';
import { type Command, loadFirewall, restore, restoreSets } from '../rules.ts';

/** Two ways to say the same to the kernel, each for a company of so many devices. */
export type Layout = {
  /** From nothing. */
  apply: readonly Command[];
  /** One more device, and the same away again. */
  add: readonly Command[];
  remove: readonly Command[];
};

export const pool = '10.91.64.0/18';
export const tunnel = 'wg0';
export const server = { address: '172.19.0.10', port: 7000 } as const;

const networks = [
  { name: 'office', cidr: '172.17.0.0/16', dev: 'br-office' },
  { name: 'lab', cidr: '172.18.0.0/16', dev: 'br-lab' },
  { name: 'internal', cidr: '172.19.0.0/16', dev: 'br-internal' },
] as const;
export const serverSide = networks[2].dev;

/**
 * What the last device is allowed stands last. The networks know the way back, since neither no rules nor rules by
 * device change addresses: all three do the same work.
 */
const document = `
role office
role developer
role admin includes developer

${networks.map(({ name, cidr, dev }) => `network ${name} = ${cidr} via n1 dev ${dev} no-nat`).join('\n')}

service git  = 172.19.0.20 tcp/8080, tcp/22 name git.corp.internal  front https
service sso  = 172.19.0.21 tcp/8080         name sso.corp.internal  front https
service dns  = 172.19.0.53 tcp/53, udp/53

allow everyone        -> sso, dns
allow developer       -> git
allow developer       -> lab tcp/8000-8100, icmp
allow developer       -> devices
allow admin           -> office, lab, internal
allow admin           -> nodes tcp/22
allow u1@corp.example -> office tcp/5432
allow u2@corp.example -> lab tcp/5432 until 2099-01-01
allow u3@corp.example, u4@corp.example -> 172.18.0.7 tcp/9000
vpn-only tcp/5432 on n1 dev eno1
allow developer       -> internal tcp/7000-7999, icmp
`;

/** The device of this place, from 0 on. */
export function deviceAddress(place: number): Ipv4 {
  return numberToIpv4(ipv4ToNumber('10.91.65.0') + place);
}

/** What the master's document and roster compile to. */
export function setsByRole(devices: number, now: number): Layout {
  const checked = checkSource(document);
  if (!checked.ok)
    throw new Error(`the document of the measurement has errors: ${JSON.stringify(checked.diagnostics)}`);
  const compile = (count: number) =>
    compileFirewall(resolve(checked.document, roster(count, Math.ceil(devices / 2))), {
      node: 'n1',
      revision: 1,
      tunnel,
    });
  const newcomer = deviceAddress(devices);
  const joined = compile(devices + 1).sets.filter(({ elements }) =>
    elements.some(({ element }) => element === newcomer),
  );
  return {
    apply: loadFirewall(compile(devices), now),
    add: [restoreSets(joined.map(({ name }) => `add ${name} ${newcomer}\n`).join(''))],
    remove: [restoreSets(joined.map(({ name }) => `del ${name} ${newcomer}\n`).join(''))],
  };
}

function roster(devices: number, users: number): PolicyRoster {
  return {
    pool,
    users: Array.from({ length: users }, (_, i) => ({
      id: `u${i}`,
      email: `u${i}@corp.example`,
      role: i % 10 === 0 ? 'admin' : i % 10 < 7 ? 'office' : 'developer',
    })),
    devices: Array.from({ length: devices }, (_, i) => ({
      userId: `u${i % users}`,
      name: `device ${i}`,
      address: deviceAddress(i),
    })),
    nodes: [{ name: 'n1', tunnelAddress: '10.91.64.2' }],
    fronts: [
      { service: 'git', address: '10.91.127.1' },
      { service: 'sso', address: '10.91.127.2' },
    ],
    api: { node: 'n1', port: 8443 },
  };
}

/** Nine rules for each device: for each of three subnets there, back, and to the node. What no rule allows is dropped. */
export function rulesByDevice(devices: number): Layout {
  const all = Array.from({ length: devices }, (_, i) => rulesOf(deviceAddress(i))).flat();
  const newcomer = rulesOf(deviceAddress(devices));
  const closing = [
    `-A FORWARD -i ${tunnel} -j DROP`,
    `-A FORWARD -o ${tunnel} -j DROP`,
    `-A INPUT -i ${tunnel} -j DROP`,
  ];
  const filter = (rules: readonly string[]) => [restore(`*filter\n${rules.join('\n')}\nCOMMIT\n`)];
  return {
    apply: filter([...all.map((rule) => `-A ${rule}`), ...closing]),
    add: filter(newcomer.map((rule) => rule.replace(/^\w+/, '-I $& 1'))),
    remove: filter(newcomer.map((rule) => `-D ${rule}`)),
  };
}

function rulesOf(device: Ipv4): string[] {
  return networks.flatMap(({ cidr, dev }) => [
    `FORWARD -i ${tunnel} -o ${dev} -s ${device}/32 -d ${cidr} -j ACCEPT`,
    `FORWARD -i ${dev} -o ${tunnel} -s ${cidr} -d ${device}/32 -j ACCEPT`,
    `INPUT -i ${tunnel} -s ${device}/32 -d ${cidr} -j ACCEPT`,
  ]);
}

/** How many rules the kernel is given for so many devices. */
export function ruleCount({ apply }: Layout): number {
  return apply.reduce((sum, { stdin }) => sum + (stdin.match(/^-[AI] /gm)?.length ?? 0), 0);
}
