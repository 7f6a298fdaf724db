import { describe, expect, test } from 'bun:test';
import { inDecember, inNovember, sampleLines, sampleRoster, worldOf } from '#policies/meaning/fixture/sample-world.ts';
import type { PolicyRoster } from '#policies/meaning/roster.ts';
import { compileFirewall } from './compile.ts';
import type { Firewall } from './firewall.ts';
import { liveElements, longestTimeout, renderChains, renderRule, renderSets } from './render.ts';

const compiled = (
  lines: readonly string[] = sampleLines,
  roster: PolicyRoster = sampleRoster,
  node = 'n1',
  revision = 7,
) => compileFirewall(worldOf(lines, roster), { node, revision });
const rulesOf = ({ chains }: Firewall, name: string, family = 4) =>
  chains.find((chain) => chain.name === name && chain.family === family)?.rules.map(renderRule) ?? [];
const rulesIn = ({ chains }: Firewall) => chains.reduce((sum, { rules }) => sum + rules.length, 0);
const setNamed = ({ sets }: Firewall, suffix: string) =>
  sets.find(({ name }) => name.endsWith(suffix))?.elements.map(({ element }) => element);

/** The company with more people and devices. */
const grown = (count: number): PolicyRoster => ({
  ...sampleRoster,
  users: [...sampleRoster.users, { id: 'u-x', email: 'x@example.com', role: 'developer' }],
  devices: [
    ...sampleRoster.devices,
    ...Array.from({ length: count }, (_, i) => ({
      userId: 'u-x',
      name: `d${i}`,
      address: `10.91.${80 + (i >> 8)}.${i & 255}`,
    })),
  ],
});

describe('the order of the rules', () => {
  test('gate, answers, the sets by interface, redirections, reset, drop', () => {
    const comments = (compiled().chains.find(({ name }) => name === 'POSTERN-FORWARD')?.rules ?? []).map(
      ({ comment }) => comment.replace('postern r7 ', ''),
    );
    expect(comments).toEqual([
      'gate: the source is no device',
      'gate: the destination is no device',
      'answers',
      'errors about flows',
      'no flow begins in midstream',
      'granted, by interface',
      'granted, by interface',
      'granted, by interface',
      'redirected',
      'nothing allows it',
      'flows begun outside',
      'from other nodes',
      'answers to other nodes',
      'flows begun outside',
      'vpn-only, line 16',
    ]);
    expect(rulesOf(compiled(), 'POSTERN-REFUSE').map((rule) => rule.replace(/.* -j/, '-j'))).toEqual([
      '-j REJECT --reject-with tcp-reset',
      '-j DROP',
    ]);
  });

  test('a document without any end judges no answers', () => {
    const endless = sampleLines.filter((line) => !line.includes('until'));
    expect(rulesOf(compiled(endless), 'POSTERN-REPLY')).toEqual([]);
    expect(rulesOf(compiled(endless), 'POSTERN-FORWARD')[2]).toContain('--ctstate RELATED,ESTABLISHED --ctdir REPLY');
  });

  test('IPv6 inside the tunnel is dropped first, both ways and at the node', () => {
    expect(rulesOf(compiled(), 'POSTERN-FORWARD', 6).slice(0, 2).join()).toMatch(
      /^-i wg0 .* -j DROP,-o wg0 .* -j DROP$/,
    );
    expect(rulesOf(compiled(), 'POSTERN-INPUT', 6)[0]).toMatch(/^-i wg0 .* -j DROP$/);
  });

  test('every rule says its revision, and no comment can break out of its quotes', () => {
    for (const { rules } of compiled().chains)
      for (const { comment } of rules) expect(comment).toMatch(/^postern r7 [A-Za-z0-9:,. -]{1,190}$/);
  });
});

describe('devices fill the sets and never change the rules', () => {
  test('ten thousand more devices: the same rules, the same sets', () => {
    const few = compiled();
    const many = compiled(sampleLines, grown(10_000));
    expect(renderChains(many, 4)).toBe(renderChains(few, 4));
    expect(many.sets.map(({ name, type, timeouts, size }) => [name, type, timeouts, size])).toEqual(
      few.sets.map(({ name, type, timeouts, size }) => [name, type, timeouts, size]),
    );
    expect(setNamed(many, '-members')?.length).toBe(10_005);
  });

  test('no device at all, no front yet: still the same sets', () => {
    const empty = { ...sampleRoster, users: [], devices: [], fronts: [] };
    const names = (firewall: Firewall) =>
      firewall.sets.map(({ name, type, timeouts }) => `${name} ${type} ${timeouts}`);
    expect(names(compiled(sampleLines, empty))).toEqual(names(compiled()));
  });

  test('a revoked device is in no set', () => {
    const revoked = compiled(sampleLines, { ...sampleRoster, devices: sampleRoster.devices.slice(1) });
    expect(JSON.stringify(revoked.sets)).not.toContain('10.91.65.1"');
  });

  test('five hundred people with a line each share one rule', () => {
    const lines = Array.from({ length: 500 }, (_, i) =>
      `allow p${i}@example.com -> sandbox tcp/5432 until 2026-12-${1 + (i % 30)}`.replace(/-(\d)$/, '-0$1'),
    );
    expect(rulesIn(compiled([...sampleLines, ...lines])) - rulesIn(compiled())).toBe(0);
  });

  test('a role on many networks behind one interface is one rule', () => {
    const networks = Array.from({ length: 200 }, (_, i) => `network m${i} = 10.5.${i}.0/24 via n1 dev eth5`);
    const allow = `allow developer -> ${networks.map((_, i) => `m${i}`).join(', ')}`
      .slice(0, 1000)
      .replace(/,[^,]*$/, '');
    const grants = rulesOf(compiled([...sampleLines, ...networks, allow]), 'POSTERN-TO-eth5');
    expect(grants).toHaveLength(1);
  });
});

describe('sets', () => {
  test('only types that every kernel of ours has, and names that fit', () => {
    const firewall = compiled(
      [...sampleLines, 'allow guest, bob@example.com -> internal, gitlab until 2027-01-01'],
      sampleRoster,
      'n1',
      4_294_967_295,
    );
    for (const { name, type } of firewall.sets) {
      expect(['hash:ip', 'hash:net', 'hash:ip,port,net', 'list:set']).toContain(type);
      expect(name.length).toBeLessThanOrEqual(31);
      expect(name).toStartWith('postern-4294967295-');
    }
  });

  test('a set stands after those it is made of', () => {
    const { sets } = compiled([...sampleLines, 'allow guest, bob@example.com -> internal until 2027-01-01']);
    const list = sets.findIndex(({ type }) => type === 'list:set');
    const before = sets.slice(0, list).map(({ name }) => name);
    expect(sets[list]?.elements.every(({ element }) => before.includes(element))).toBe(true);
    expect(sets[list]?.elements.length).toBeGreaterThan(1);
  });

  test('a network without the network inside it', () =>
    expect(
      compiled()
        .sets.find(({ elements }) => elements.some(({ element }) => element === '172.19.6.0/24'))
        ?.elements.map(({ element }) => element),
    ).toEqual([
      '172.19.0.0/22',
      '172.19.4.0/23',
      '172.19.6.0/24',
      '172.19.8.0/21',
      '172.19.16.0/20',
      '172.19.32.0/19',
      '172.19.64.0/18',
      '172.19.128.0/17',
    ]));
});

describe('until', () => {
  const at = (seconds: number) =>
    liveElements({ elements: [{ element: 'x', until: inNovember + seconds * 1000 }] }, inNovember);
  test.each([
    [3600, 3600],
    [1, 1],
    [1.999, 1],
    [longestTimeout, longestTimeout],
    [longestTimeout + 1, longestTimeout],
    [400 * 86_400, longestTimeout],
  ])('%p seconds away is a timeout of %p', (seconds, timeout) =>
    expect(at(seconds)).toEqual([{ element: 'x', timeout }]),
  );

  /** A timeout of 0 would be forever. */
  test.each([0.999, 0, -1, -86_400])('%p seconds away is not there at all', (seconds) =>
    expect(at(seconds)).toEqual([]),
  );

  test('a grant with an end is a timeout on the people, an endless one is none', () => {
    const text = renderSets(compiled([...sampleLines, 'allow alice@example.com -> sandbox tcp/5433']).sets, inNovember);
    expect(text).toMatch(/add postern-7-p\d+ 10\.91\.65\.1 timeout 777600\n/);
    expect(text).toMatch(/add postern-7-p\d+ 10\.91\.65\.1\n/);
  });

  test('a grant that ran out keeps its rule and loses its people', () => {
    expect(renderSets(compiled().sets, inDecember)).not.toContain('timeout 7');
    expect(rulesOf(compiled(), 'POSTERN-TO-docker0').some((rule) => rule.includes('line 13'))).toBe(true);
  });

  test('of two lines the later end counts, and none before any', () => {
    const until = (...ends: string[]) =>
      compiled([...sampleLines.slice(0, 9), ...ends.map((end) => `allow dan@example.com -> sandbox${end}`)]).sets.find(
        ({ name }) => name.includes('-p'),
      )?.elements[0]?.until;
    expect(until(' until 2026-12-01', ' until 2026-12-05')).toBe(Date.UTC(2026, 11, 6));
    expect(until(' until 2026-12-01', '')).toBeUndefined();
    expect(until('', ' until 2026-12-01')).toBeUndefined();
  });
});

describe('ports', () => {
  test('more than fifteen are several rules, and a range counts for two', () => {
    const ports = Array.from({ length: 20 }, (_, i) => `tcp/${i + 1}`).join(', ');
    const ranges = Array.from({ length: 8 }, (_, i) => `udp/${i * 10 + 1}-${i * 10 + 2}`).join(', ');
    const rules = rulesOf(
      compiled([...sampleLines, `allow guest -> secret ${ports}, ${ranges}, icmp`]),
      'POSTERN-TO-br-secret',
    ).filter((rule) => rule.includes('line 17'));
    expect(rules.map((rule) => /--dports? ([\d:,]+)/.exec(rule)?.[1] ?? 'icmp')).toEqual([
      '1,2,3,4,5,6,7,8,9,10,11,12,13,14,15',
      '16,17,18,19,20',
      '1:2,11:12,21:22,31:32,41:42,51:52,61:62',
      '71:72',
      'icmp',
    ]);
  });
});

describe('each node has its own', () => {
  test('a network that a node does not lead to is reached through another, by the same grants', () => {
    const granted = rulesOf(compiled(), 'POSTERN-TO-docker0').map((rule) => rule.replace(/-p\d+ /, ' '));
    const other = compiled(sampleLines, sampleRoster, 'n2');
    expect(rulesOf(other, 'POSTERN-TO-wg-mesh').map((rule) => rule.replace(/-p\d+ /, ' '))).toEqual(granted);
    expect(renderChains(other, 4)).not.toMatch(/docker0|br-internal|eno1/);
  });
  test('who is in the mesh changes no set', () => {
    const inMesh = (place: object): PolicyRoster => ({
      ...sampleRoster,
      mesh: { cidr: '10.44.7.0/24' },
      nodes: sampleRoster.nodes.map((node) => ({ ...node, ...place })),
    });
    const mesh = { publicKey: 'K', address: '10.44.7.1', endpoints: [] };
    for (const node of ['n1', 'n2'])
      expect(compiled(sampleLines, inMesh({ mesh }), node).sets).toEqual(
        compiled(sampleLines, sampleRoster, node).sets,
      );
  });
  test('a node that is alone leads nothing on, and no front to the backend of another', () => {
    const alone = compiled(sampleLines, sampleRoster, 'n2');
    expect(rulesOf(alone, 'POSTERN-MESH')).toHaveLength(1);
    expect(rulesOf(alone, 'POSTERN-MESH-HOST')).toHaveLength(2);
  });
  test('the API is open where the master is', () => {
    expect(rulesOf(compiled(), 'POSTERN-HOST').some((rule) => rule.includes('8443'))).toBe(true);
    expect(
      rulesOf(compiled(sampleLines, sampleRoster, 'n2'), 'POSTERN-HOST').some((rule) => rule.includes('8443')),
    ).toBe(false);
  });
  test('a node no network names still has the whole frame', () =>
    expect(
      rulesOf(
        compiled(
          sampleLines,
          { ...sampleRoster, nodes: [...sampleRoster.nodes, { name: 'n3', tunnelAddress: '10.91.64.4' }] },
          'n3',
        ),
        'POSTERN-FORWARD',
      ).length,
    ).toBeGreaterThan(7));
});

/** Measured: 0.25 s for the rules and sets of one node. The bound is loose because the machine may be busy. */
test('10,000 lines for 10,000 devices compile in seconds', () => {
  const lines = [
    ...Array.from({ length: 500 }, (_, i) => `role r${i}`),
    ...Array.from({ length: 1_500 }, (_, i) => `network n${i} = 10.${i >> 8}.${i & 255}.0/24 via n1 dev eth${i % 4}`),
    ...Array.from({ length: 8_000 }, (_, i) =>
      i % 2 === 0
        ? `allow r${i % 500} -> n${i % 1500} tcp/${1 + (i % 9)}`
        : `allow p${i}@example.com -> n${i % 1500} tcp/443`,
    ),
  ];
  const roster: PolicyRoster = {
    ...grown(0),
    users: Array.from({ length: 10_000 }, (_, i) => ({ id: `u${i}`, email: `p${i}@example.com`, role: `r${i % 500}` })),
    devices: Array.from({ length: 10_000 }, (_, i) => ({
      userId: `u${i}`,
      name: 'laptop',
      address: `10.91.${70 + (i >> 8)}.${i & 255}`,
    })),
  };
  const world = worldOf([...new Set(lines)], { ...roster, pool: '172.30.0.0/16' });
  const start = performance.now();
  const firewall = compileFirewall(world, { node: 'n1', revision: 1 });
  expect(performance.now() - start).toBeLessThan(10_000);
  expect(rulesIn(firewall)).toBeLessThan(6_000);
});
