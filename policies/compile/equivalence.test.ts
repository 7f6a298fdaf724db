import { describe, expect, test } from 'bun:test';
import { evaluate, type Verdict } from '#policies/meaning/evaluate.ts';
import type { World } from '#policies/meaning/world.ts';
import { compileFirewall } from './compile.ts';
import type { Firewall } from './firewall.ts';
import { constructs, constructsOf } from './fixture/constructs.ts';
import { Dice } from './fixture/dice.ts';
import { mutants } from './fixture/mutants.ts';
import { type Case, randomCase } from './fixture/random-packet.ts';
import { randomWorld, testNow } from './fixture/random-world.ts';
import { type Loaded, load } from './model.ts';
import { type Outcome, traverse } from './traverse.ts';

/**
 * The compiled rules against the reference: random documents and rosters, random packets on a random node. A failure
 * names its seed, the document and the packet. POSTERN_POLICY_DOCUMENTS runs more of them.
 */
const documents = Number(process.env.POSTERN_POLICY_DOCUMENTS ?? 1_600);
const packetsEach = 10;

/** Sets are loaded some time before the packet comes, so timeouts run. */
const loadedBefore = [0, 0, 1, 60, 3_600] as const;

/** It takes a front, other ports of it, a backend behind the other node and both nodes in the mesh. */
const often = (construct: string) => (construct === 'a front leads on through another node' ? 40 : 100);

interface Trial extends Case {
  readonly seed: number;
  readonly source: string;
  readonly world: World;
  readonly firewall: Firewall;
  readonly loadedAt: number;
  readonly kernel: Loaded;
  readonly expected: Verdict;
}

function* trials(count: number): Generator<Trial> {
  for (let seed = 1; seed <= count; seed++) {
    const dice = new Dice(seed);
    const { source, world } = randomWorld(dice);
    const loadedAt = testNow - dice.pick(loadedBefore) * 1000;
    const loaded = new Map<string, { firewall: Firewall; kernel: Loaded }>();
    for (let i = 0; i < packetsEach; i++) {
      const { packet, host } = randomCase(dice, world);
      const known = loaded.get(packet.node) ?? compiled(world, packet.node, seed, loadedAt);
      loaded.set(packet.node, known);
      yield { seed, source, world, ...known, loadedAt, packet, host, expected: evaluate(world, packet, testNow) };
    }
  }
}

function compiled(world: World, node: string, revision: number, loadedAt: number) {
  const firewall = compileFirewall(world, { node, revision });
  return { firewall, kernel: load(firewall, loadedAt) };
}

function agrees(expected: Verdict, outcome: Outcome, { packet, host, world }: Case & { world: World }): boolean {
  if (expected.verdict !== outcome.verdict) return false;
  // A node that does not hold a front leads on from it what its kernel took for a flow, and so can tell it off.
  // So does one that redirects to a container what another node sends it.
  const isTold =
    host.loose &&
    packet.phase === 'stray' &&
    ((packet.to.kind === 'tunnel' && world.fronts.has(packet.destination)) ||
      (packet.from.kind === 'mesh' && packet.to.kind === 'published'));
  if (expected.verdict === 'denied') return isTold || expected.reset === outcome.reset;
  if (expected.verdict === 'untouched' || packet.to.kind === 'published') return true;
  return expected.masquerade === outcome.masquerade && expected.redirectedTo === outcome.redirectedTo;
}

describe('compiled rules do what the lines say', () => {
  test(`for ${documents * packetsEach} packets`, () => {
    const met = new Map<string, number>();
    let allowed = 0;
    let tried = 0;
    const disagreements: string[] = [];
    for (const trial of trials(documents)) {
      tried += 1;
      if (trial.expected.verdict === 'allowed') allowed += 1;
      for (const name of constructsOf(trial.world, trial.packet, trial.expected, testNow))
        met.set(name, (met.get(name) ?? 0) + 1);
      const outcome = traverse(trial.firewall, trial.kernel, trial.host, trial.packet, testNow);
      if (!agrees(trial.expected, outcome, trial))
        disagreements.push(
          `seed ${trial.seed}: ${JSON.stringify({ packet: trial.packet, expected: trial.expected, outcome })}\n${trial.source}`,
        );
    }
    expect(disagreements.slice(0, 3)).toEqual([]);
    expect(tried).toBeGreaterThanOrEqual(10_000);
    expect(allowed / tried).toBeGreaterThan(0.3);
    expect(
      constructs.filter((name) => (met.get(name) ?? 0) < often(name)).map((name) => `${name}: ${met.get(name) ?? 0}`),
    ).toEqual([]);
  }, 120_000);
});

describe('a mistake in the compiled rules is noticed', () => {
  const known = [...trials(1_500)];

  test.each(mutants)('$name', ({ name, apply }) => {
    const changed = new Map<Firewall, Trial | undefined>();
    const noticed = known.findIndex((trial) => {
      if (!changed.has(trial.firewall)) {
        const firewall = apply(trial.firewall, new Dice(trial.seed + name.length));
        changed.set(trial.firewall, firewall && { ...trial, firewall, kernel: load(firewall, trial.loadedAt) });
      }
      const mutant = changed.get(trial.firewall);
      if (mutant === undefined) return false;
      return !agrees(
        trial.expected,
        traverse(mutant.firewall, mutant.kernel, trial.host, trial.packet, testNow),
        trial,
      );
    });
    expect(noticed).toBeGreaterThanOrEqual(0);
  });

  test('there are at least twenty of them', () => expect(mutants.length).toBeGreaterThanOrEqual(20));
});
