import { describe, expect, test } from 'bun:test';
import { closedFirewall, type DesiredFirewall, desiredFirewall } from '#policies/desired/firewall.ts';
import { person, snapshotOf } from '../fixture/roster.ts';
import { parseIpsetSave } from '../formats/ipset-save.ts';
import { parseIptablesSave } from '../formats/iptables-save.ts';
import { type ObservedFirewall, planFirewall, type RestoreStep, SetConflict } from './firewall.ts';

const filter = (forward: string[], input: string[], own: string[] = []) =>
  parseIptablesSave(
    [
      '*filter',
      ':INPUT ACCEPT [0:0]',
      ':FORWARD ACCEPT [0:0]',
      ':OUTPUT ACCEPT [0:0]',
      ':MINE - [0:0]',
      ':POSTERN-FORWARD - [0:0]',
      ':POSTERN-INPUT - [0:0]',
      ...forward.map((rule) => `-A FORWARD ${rule}`),
      ...input.map((rule) => `-A INPUT ${rule}`),
      ...own,
      'COMMIT',
      '',
    ].join('\n'),
  );
const closedRules = [
  '-A POSTERN-FORWARD -i wg0 -m set ! --match-set postern-members src -j DROP',
  '-A POSTERN-FORWARD -o wg0 -m set ! --match-set postern-members dst -j DROP',
  '-A POSTERN-FORWARD -i wg0 -j DROP',
  '-A POSTERN-FORWARD -o wg0 -j DROP',
  '-A POSTERN-INPUT -i lo -j RETURN',
  '-A POSTERN-INPUT -i wg0 -m set ! --match-set postern-members src -j DROP',
  '-A POSTERN-INPUT -i wg0 -m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j ACCEPT',
  '-A POSTERN-INPUT -i wg0 -j DROP',
];
const toForward = '-j POSTERN-FORWARD';
const toInput = '-j POSTERN-INPUT';
const members = (...addresses: string[]) =>
  parseIpsetSave(
    [
      'create postern-members hash:ip family inet hashsize 1024 maxelem 1048576 bucketsize 12 initval 0x1',
      ...addresses.map((address) => `add postern-members ${address}`),
    ].join('\n'),
  );
const observed = (change: Partial<ObservedFirewall['rules']> = {}, sets = members()): ObservedFirewall => ({
  sets,
  rules: { ipv4: filter([toForward], [toInput], closedRules), ipv6: undefined, ...change },
});
const closed = closedFirewall();
const restores = (before: ObservedFirewall, desired: DesiredFirewall = closed) =>
  planFirewall(before, desired).rules.filter((step): step is RestoreStep => step.kind === 'restore-rules');

describe('planFirewall', () => {
  test('has nothing to do when all stands', () =>
    expect(planFirewall(observed(), closed)).toEqual({ shrink: [], rules: [], widen: [] }));

  test.each([
    ['is missing', [], [toInput], []],
    ['was moved behind another rule', ['-j MINE', toForward], [toInput], [{ chain: 'FORWARD', rule: toForward }]],
    [
      'is there twice',
      [toForward, toForward],
      [toInput],
      [
        { chain: 'FORWARD', rule: toForward },
        { chain: 'FORWARD', rule: toForward },
      ],
    ],
    [
      'was given a condition',
      [`-i eth0 ${toForward}`],
      [toInput],
      [{ chain: 'FORWARD', rule: `-i eth0 ${toForward}` }],
    ],
  ])('a jump that %s is put first again, and others stay', (_, forward, input, deletions) =>
    expect(restores(observed({ ipv4: filter(forward, input, closedRules) }))).toEqual([
      {
        kind: 'restore-rules',
        family: 'ipv4',
        changes: [
          {
            table: 'filter',
            deletions,
            chains: [],
            jumps: [{ hook: 'FORWARD', chain: 'POSTERN-FORWARD' }],
            removedChains: [],
          },
        ],
      },
    ]),
  );

  test.each([
    ['an accept at its head', ['-A POSTERN-FORWARD -j ACCEPT', ...closedRules]],
    ['its last drop gone', closedRules.filter((rule) => rule !== '-A POSTERN-FORWARD -o wg0 -j DROP')],
    ['two rules in another order', [...closedRules.slice(1, 2), ...closedRules.slice(0, 1), ...closedRules.slice(2)]],
  ])('a chain of ours with %s is written anew as a whole', (_, own) => {
    const [step] = restores(observed({ ipv4: filter([toForward], [toInput], own) }));
    expect(step?.changes[0]?.chains.map(({ name, rules }) => `${name} ${rules.length}`)).toEqual(['POSTERN-FORWARD 4']);
    expect(step?.changes[0]?.jumps).toEqual([]);
  });

  test('a chain that is no longer needed goes with the jumps to it', () => {
    const nat = parseIptablesSave(
      '*nat\n:POSTROUTING ACCEPT [0:0]\n:POSTERN-NAT - [0:0]\n-A POSTROUTING -j POSTERN-NAT\nCOMMIT\n',
    );
    const ipv4 = new Map([...observed().rules.ipv4, ...nat]);
    expect(restores(observed({ ipv4 }))[0]?.changes).toEqual([
      {
        table: 'nat',
        deletions: [{ chain: 'POSTROUTING', rule: '-j POSTERN-NAT' }],
        chains: [],
        jumps: [],
        removedChains: ['POSTERN-NAT'],
      },
    ]);
  });

  test('IPv6 is closed where the kernel has it', () =>
    expect(restores(observed({ ipv6: new Map() })).map((step) => step.family)).toEqual(['ipv6']));

  test('membership changes in place, without a word about rules', () => {
    const ana = person('ana', 'admin', 1);
    const desired = desiredFirewall(snapshotOf([ana]), 'n1');
    const before = afterwards(desired, snapshotSets(['10.91.1.9']));
    expect(planFirewall(before, desired)).toEqual({
      shrink: [{ kind: 'remove-address', set: 'postern-members', entry: '10.91.1.9' }],
      rules: [],
      widen: [
        { kind: 'add-address', set: 'postern-members', address: '10.91.1.1' },
        { kind: 'add-address', set: 'postern-r-admin', address: '10.91.1.1' },
      ],
    });
  });

  test.each([
    ['another type', 'create postern-members hash:net family inet hashsize 1024 maxelem 65536'],
    ['IPv6', 'create postern-members hash:ip family inet6 hashsize 1024 maxelem 65536'],
    ['timeouts', 'create postern-members hash:ip family inet hashsize 1024 maxelem 65536 timeout 60'],
  ])('a set of our name but %s is not touched, and said', (_, save) =>
    expect(() => planFirewall(observed({}, parseIpsetSave(save)), closed)).toThrow(SetConflict),
  );
});

const snapshotSets = (addresses: string[]) => [
  ...members(...addresses),
  ...['admin', 'developer'].map((role) => ({
    name: `postern-r-${role}`,
    type: 'hash:ip',
    options: 'family inet hashsize 1024 maxelem 1048576',
    entries: [],
  })),
];

/** The rules of a desired firewall as if they stood, with other sets. */
function afterwards(desired: DesiredFirewall, sets: ObservedFirewall['sets']): ObservedFirewall {
  const [step] = restores({ sets, rules: { ipv4: new Map(), ipv6: undefined } }, desired);
  const tables = new Map(
    step?.changes.map(({ table, chains, jumps }) => [
      table,
      new Map([
        ...chains.map(({ name, rules }) => [name, rules] as const),
        ...jumps.map(({ hook, chain }) => [hook, [`-j ${chain}`]] as const),
      ]),
    ]),
  );
  return { sets, rules: { ipv4: tables, ipv6: undefined } };
}
