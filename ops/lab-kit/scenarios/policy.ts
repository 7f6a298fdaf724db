import * as v from 'valibot';
import { Dice } from '#policies/compile/fixture/dice.ts';
import { type Ground as DocumentGround, documentLines } from '#policies/compile/fixture/random-document.ts';
import type { World } from '#policies/meaning/world.ts';
import { expect, type Scenario } from '../scenario.ts';
import { officeTopology, openOffice } from './office.ts';
import { container, openGround } from './policy-ground.ts';
import type { PolicyNode } from './policy-node.ts';
import { type Attempt, deviceIpv6, type Forced, kinds, Packets } from './policy-packets.ts';
import { nodeOfProduct } from './policy-product.ts';
import { type Flow, type Outcome, Trial } from './policy-trial.ts';

const Count = v.object({ packets: v.number(), allowed: v.number(), disagreements: v.number() });

const extents = {
  short: { documents: 3, plain: 40, elsewhere: 8, forced: 12, least: 150 },
  long: { documents: 24, plain: 70, elsewhere: 14, forced: 22, least: 2_000 },
} as const;

export const policy: Scenario = {
  name: 'policy',
  description: 'random documents in force on a node, and what becomes of real packets, against what the documents mean',
  topology: `${officeTopology}
  and behind n1 a container with published ports ${container.address}; two devices at home, two in the cafe
`,
  figures: v.object({ ...Count.entries, by_kind: v.record(v.string(), Count) }),
  async run({ lab, short, step, check }) {
    const extent = short ? extents.short : extents.long;
    const { ground, node } = await step('a node, networks, a container, and devices in the tunnel', async () => {
      const office = await openOffice(lab);
      const opened = await openGround(lab, office);
      const product = await nodeOfProduct(lab, office);
      return { ground: opened, node: product };
    });
    const packets = new Packets(ground, node);
    const trial = new Trial(ground, node, packets);

    await step('with no rules everything arrives, also what must not', async (note) => {
      const dice = new Dice(0);
      const world = await node.enforce(documentLines(dice, documentGround()).join('\n'));
      const stopped = new Set(['front', 'published', 'stray']);
      const wanted = ({ to, kinds }: Attempt) => to !== undefined && !kinds.some((kind) => stopped.has(kind));
      const plain = plainAttempts(dice, world, packets, extent).filter(wanted);
      const unseen = await node.pause(async () => {
        await node.open();
        return [
          ...(await trial.unseen(plain, world)),
          ...(await forcing(node, (who) => {
            const attempts = several(extent.forced, () => packets.forced(dice, world, who)).filter(wanted);
            const { address } = who.victim;
            return trial.unseen(
              attempts.filter(({ packet }) => packet.family === 6 || packet.source === address),
              world,
            );
          })),
        ];
      });
      expect(unseen.length === 0, () => `not seen:\n${unseen.join('\n')}`);
      note(`${plain.length} packets, and forced ones`);
    });

    const outcomes: Outcome[] = [];
    let flows: Flow[] = [];
    for (let seed = 1; seed <= extent.documents; seed += 1) {
      await check(`document ${seed}`, async (note) => {
        const dice = new Dice(seed);
        const source = documentLines(dice, documentGround()).join('\n');
        const world = await node.enforce(source);
        const now = await trial.goOn(flows, world);
        const plain = await trial.run(plainAttempts(dice, world, packets, extent), world);
        const forced = await node.pause(() =>
          forcing(node, async (who) => {
            const attempts = several(extent.forced, () => packets.forced(dice, world, who));
            return (await trial.run(attempts, world)).outcomes;
          }),
        );
        flows = plain.flows;
        const all = [...now, ...plain.outcomes, ...forced];
        outcomes.push(...all);
        const wrong = all.filter(({ agrees }) => !agrees);
        expect(wrong.length === 0, () => `${wrong.map(({ told }) => told).join('\n')}\n${source}`);
        note(`${all.length} packets, ${all.filter(({ allowed }) => allowed).length} allowed`);
      });
    }
    const figures = { ...countOf(outcomes), by_kind: byKind(outcomes) };
    await check(`at least ${extent.least} packets, and of every kind`, async () => {
      expect(figures.packets >= extent.least, () => `only ${figures.packets}`);
      const missing = kinds.filter((kind) => figures.by_kind[kind]?.packets === 0);
      expect(short || missing.length === 0, () => `none of ${missing.join(', ')}`);
    });
    return figures;
  },
};

function documentGround(): DocumentGround {
  const ends = (dice: Dice) => {
    const days = dice.pick([-400, -1, 1, 1, 30, 400]);
    return `${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 19)}Z`;
  };
  return {
    nodes: ['n1'],
    places: [
      { name: 'net-a', cidr: '172.19.0.0/16', hosts: ['172.19.0.5', '172.19.0.9', '172.19.4.5', '172.19.4.20'] },
      { name: 'net-b', cidr: '172.19.4.0/24', hosts: ['172.19.4.5', '172.19.4.20'] },
      { name: 'net-c', cidr: '172.19.4.16/28', hosts: ['172.19.4.20', '172.19.4.25'] },
      { name: 'net-d', cidr: '172.20.0.0/16', hosts: ['172.20.0.5', '172.20.0.9'] },
      { name: 'net-e', cidr: '172.20.128.0/20', hosts: ['172.20.128.5', '172.20.143.200'] },
    ],
    devices: ['br-internal', 'br-internal', 'br-workshop'],
    publicDevices: ['eth0', 'eth0', 'br-workshop'],
    emails: ['a@example.com', 'b@example.com', 'c@example.com', 'd@example.com'],
    deviceNames: ['laptop', 'mac', 'phone', 'desk'],
    literals: [
      ...['172.19.4.0/24', '172.19.4.16/28', '172.19.0.5', '172.19.0.0/16', '172.19.4.20', '172.19.4.0/22'],
      ...['172.20.0.9', '172.20.128.0/17', '172.20.0.0/18'],
    ],
    ends,
  };
}

type Extent = (typeof extents)['short' | 'long'];

function plainAttempts(dice: Dice, world: World, packets: Packets, { plain, elsewhere }: Extent): Attempt[] {
  return [
    ...several(plain, () => packets.fromDevice(dice, world)),
    ...several(elsewhere, () => packets.fromElsewhere(dice, world)),
  ];
}

function several(count: number, make: () => Attempt | undefined): Attempt[] {
  const made: Attempt[] = [];
  for (let tries = 0; made.length < count && tries < 50 * count; tries += 1) {
    const attempt = make();
    if (attempt !== undefined) made.push(attempt);
  }
  return made;
}

/** WireGuard ties each source address to a peer. Here the first device gets the last one's, every other, and IPv6. */
async function forcing<Value>(node: PolicyNode, body: (who: Forced) => Promise<Value>): Promise<Value> {
  const [spoofer, ...others] = node.devices;
  const victim = others.at(-1);
  if (spoofer === undefined || victim === undefined) throw new RangeError('it takes two devices');
  const allow = (device: typeof spoofer, allowedIps: readonly string[]) =>
    node.host.must(['wg', 'set', node.tunnel, 'peer', device.publicKey, 'allowed-ips', allowedIps.join(',')]);
  const ipv6Of = (device: typeof spoofer) => `${deviceIpv6(node.devices.indexOf(device))}/128`;
  for (const device of others.slice(0, -1)) await allow(device, [`${device.address}/32`, ipv6Of(device)]);
  await allow(spoofer, [`${spoofer.address}/32`, `${victim.address}/32`, '0.0.0.0/0', '::/0']);
  try {
    return await body({ spoofer, victim });
  } finally {
    for (const device of node.devices) await allow(device, [`${device.address}/32`]);
  }
}

function countOf(outcomes: readonly Outcome[]): v.InferOutput<typeof Count> {
  return {
    packets: outcomes.length,
    allowed: outcomes.filter(({ allowed }) => allowed).length,
    disagreements: outcomes.filter(({ agrees }) => !agrees).length,
  };
}

function byKind(outcomes: readonly Outcome[]): Record<string, v.InferOutput<typeof Count>> {
  return Object.fromEntries(kinds.map((kind) => [kind, countOf(outcomes.filter((one) => one.kinds.includes(kind)))]));
}
