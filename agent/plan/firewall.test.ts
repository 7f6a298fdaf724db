import { describe, expect, test } from 'bun:test';
import { closedFirewall } from '#policies/compile/closed.ts';
import { renderRule } from '#policies/compile/render.ts';
import { parseIptablesSave } from '../formats/iptables-save.ts';
import { type DesiredFirewall, noFirewall, type ObservedFirewall, planFirewall, type RestoreStep } from './firewall.ts';

const closed = closedFirewall('n1');
const closedRules = closed.chains
  .filter(({ family }) => family === 4)
  .flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${renderRule(rule)}`));
const toForward = '-j POSTERN-FORWARD';
const toInput = '-j POSTERN-INPUT';

const filter = (forward: string[], input: string[], own: string[] = [], more: string[] = []) =>
  parseIptablesSave(
    [
      '*filter',
      ':INPUT ACCEPT [0:0]',
      ':FORWARD ACCEPT [0:0]',
      ':OUTPUT ACCEPT [0:0]',
      ':MINE - [0:0]',
      ':POSTERN-FORWARD - [0:0]',
      ':POSTERN-INPUT - [0:0]',
      ...more,
      ...forward.map((rule) => `-A FORWARD ${rule}`),
      ...input.map((rule) => `-A INPUT ${rule}`),
      ...own,
      'COMMIT',
      '',
    ].join('\n'),
  );
const observed = (change: Partial<ObservedFirewall['rules']> = {}): ObservedFirewall => ({
  sets: [],
  rules: { ipv4: filter([toForward], [toInput], closedRules), ipv6: undefined, ...change },
});
const restores = (before: ObservedFirewall, desired: DesiredFirewall = closed) =>
  planFirewall(before, desired, 0).rules.filter((step): step is RestoreStep => step.kind === 'restore-rules');

describe('planFirewall', () => {
  test('has nothing to do when all stands', () =>
    expect(planFirewall(observed(), closed, 0)).toEqual({ shrink: [], rules: [], widen: [] }));

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

  test("Docker's chain for others is hooked where it is there, and put first again after Docker moved it", () => {
    const docker = (...rules: string[]) =>
      observed({
        ipv4: filter([toForward], [toInput], closedRules, [
          ':DOCKER-USER - [0:0]',
          ...rules.map((rule) => `-A DOCKER-USER ${rule}`),
        ]),
      });
    const jump = { hook: 'DOCKER-USER', chain: 'POSTERN-FORWARD' };
    expect(restores(docker(toForward, '-j RETURN'))).toEqual([]);
    expect(restores(docker('-j RETURN'))[0]?.changes[0]).toMatchObject({ jumps: [jump], deletions: [] });
    expect(restores(docker('-j RETURN', toForward))[0]?.changes[0]).toMatchObject({
      jumps: [jump],
      deletions: [{ chain: 'DOCKER-USER', rule: toForward }],
    });
  });

  test.each([
    ['an accept at its head', ['-A POSTERN-FORWARD -j ACCEPT', ...closedRules]],
    ['its last drop gone', closedRules.filter((_, place) => place !== 1)],
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

  test('addresses are rewritten as wanted before anything may pass, whatever order the kernel lists its tables in', () => {
    const ipv4 = new Map<string, ReadonlyMap<string, string[]>>();
    for (const table of ['filter', 'nat', 'mangle']) ipv4.set(table, new Map());
    const inAll: DesiredFirewall = {
      ...noFirewall,
      chains: (['filter', 'mangle', 'nat'] as const).map((table) => ({
        family: 4,
        table,
        name: 'POSTERN-X',
        rules: [],
      })),
    };
    expect(restores(observed({ ipv4 }), inAll)[0]?.changes.map(({ table }) => table)).toEqual([
      'nat',
      'mangle',
      'filter',
    ]);
  });

  test('IPv6 is closed where the kernel has it', () =>
    expect(restores(observed({ ipv6: new Map() })).map((step) => step.family)).toEqual(['ipv6']));
});
