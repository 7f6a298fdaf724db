import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { Snapshot } from '#contract/snapshot.ts';
import { until } from './fixture/hosts.ts';
import { keyOf, person, snapshotOf } from './fixture/roster.ts';
import { afterSteps } from './plan/model.ts';
import type { ObservedNode, Step } from './plan/node.ts';
import { createReconciler, type PassReport, type Reconciler } from './reconcile.ts';
import type { NodeSystem } from './system/node.ts';

const mesh = { interface: 'wg-mesh', listenPort: 51821, publicKey: keyOf(251) };
const self = { node: 'n1', interface: 'wg0', listenPort: 51820, publicKey: keyOf(250), mesh };
const ana = person('ana', 'admin', 1);
const ben = person('ben', 'developer', 2);
const snapshot = (revision: number, people = [ana, ben]): Snapshot => snapshotOf(people, { revision });

/** A machine in memory: it does what the steps say, can be tampered with, and notes what was asked of it. */
function machine() {
  let state: ObservedNode = {
    firewall: { sets: [], rules: { ipv4: new Map(), ipv6: undefined } },
    tunnel: { link: undefined, forwarding: new Map([['br-internal', false]]), picksUpFlows: true, held: [] },
    peers: [],
    mesh: { link: undefined, peers: [], routes: [] },
    foundForwarding: new Map(),
  };
  const calls: string[] = [];
  let looking: Promise<void> | undefined;
  let failure: Error | undefined;
  let meddler: ((before: ObservedNode) => ObservedNode) | undefined;
  const system: NodeSystem = {
    async observe() {
      calls.push('look');
      const seen = state;
      await looking;
      return { node: seen, wireguard: { publicKey: self.publicKey, listenPort: 51820, peers: [] }, mesh: undefined };
    },
    async apply(steps: readonly Step[]) {
      calls.push(`apply ${steps.length}`);
      const thrown = failure;
      failure = undefined;
      if (thrown !== undefined) throw thrown;
      state = afterSteps(state, steps, self);
      const meddle = meddler;
      meddler = undefined;
      if (meddle !== undefined) state = meddle(state);
    },
    async endFlows() {
      calls.push('end flows');
      return 0;
    },
    missingFeatures: async () => [],
    async finish() {},
  };
  return {
    system,
    calls,
    peers: () => state.peers.map((peer) => peer.publicKey),
    tamper: (change: (before: ObservedNode) => ObservedNode) => {
      state = change(state);
    },
    /** Somebody changes the machine right after the next steps. */
    meddleOnce: (change: (before: ObservedNode) => ObservedNode) => {
      meddler = change;
    },
    failOnce: (message: string) => {
      failure = new Error(message);
    },
    blockLooking: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      looking = promise;
      return () => {
        looking = undefined;
        resolve();
      };
    },
  };
}

describe('the loop', () => {
  let box: ReturnType<typeof machine>;
  let reports: PassReport[];
  let reconciler: Reconciler;
  let running: Promise<void>;

  beforeEach(() => {
    box = machine();
    reports = [];
    const report = async (pass: PassReport) => {
      reports.push(pass);
    };
    reconciler = createReconciler({ system: box.system, self, everyMs: 60_000, report, log: () => undefined });
  });
  afterEach(async () => {
    reconciler.stop();
    await running;
  });
  const begin = () => {
    running = reconciler.run();
  };
  const verified = (revision: number) =>
    until(`${revision} is verified`, () =>
      reports.some((pass) => pass.isVerified && pass.applied?.revision === revision),
    );

  test('without a snapshot it makes a closed node, and names no version', async () => {
    begin();
    await until('a pass is told', () => reports.length > 0);
    expect(reports[0]).toMatchObject({ applied: undefined, drift: [], problem: undefined });
    expect(box.peers()).toEqual([]);
  });

  test('a new snapshot is applied and told before anything is looked at, then verified', async () => {
    reconciler.aimFor(snapshot(1));
    begin();
    await verified(1);
    const before = box.calls.length;
    reconciler.aimFor(snapshot(2, [ana]));
    await verified(2);
    expect(box.calls.slice(before)).toEqual(['apply 3', 'look']);
    expect(reports.filter((pass) => pass.applied?.revision === 2).map((pass) => pass.isVerified)).toEqual([
      false,
      true,
    ]);
    expect(box.peers()).toEqual([ana.publicKey]);
  });

  test('a revocation does not wait for a look under way', async () => {
    reconciler.aimFor(snapshot(1));
    begin();
    await verified(1);
    const unblock = box.blockLooking();
    reconciler.wake();
    await until('it looks', () => box.calls.at(-1) === 'look');
    reconciler.aimFor(snapshot(2, [ana]));
    await until('the peer is gone', () => box.peers().length === 1);
    unblock();
    await verified(2);
  });

  test('only the newest of several snapshots is put in force', async () => {
    begin();
    for (const revision of [1, 2, 3]) reconciler.aimFor(snapshot(revision));
    await verified(3);
    expect(reports.map((pass) => pass.applied?.revision)).not.toContain(1);
    expect(reports.map((pass) => pass.applied?.revision)).not.toContain(2);
  });

  test('what others changed is repaired and told in words', async () => {
    reconciler.aimFor(snapshot(1));
    begin();
    await verified(1);
    box.tamper((before) => ({ ...before, peers: [] }));
    reconciler.wake();
    await until('it is told', () => reports.some((pass) => pass.drift.length > 0));
    expect(reports.at(-1)?.drift).toEqual([
      `set the peer ${ana.publicKey} of wg0 with 10.91.1.1/32`,
      `set the peer ${ben.publicKey} of wg0 with 10.91.1.2/32`,
    ]);
    expect(box.peers()).toHaveLength(2);
  });

  test('what was repaired is told also where somebody changes more meanwhile', async () => {
    reconciler.aimFor(snapshot(1));
    begin();
    await verified(1);
    const without = (key: string) => (before: ObservedNode) => ({
      ...before,
      peers: before.peers.filter(({ publicKey }) => publicKey !== key),
    });
    box.tamper(without(ana.publicKey));
    box.meddleOnce(without(ben.publicKey));
    reconciler.wake();
    await until('both are back', () => box.peers().length === 2);
    await until('the second is told', () => reports.flatMap(({ drift }) => drift).length === 2);
    expect(reports.flatMap(({ drift }) => drift)).toEqual([
      `set the peer ${ana.publicKey} of wg0 with 10.91.1.1/32`,
      `set the peer ${ben.publicKey} of wg0 with 10.91.1.2/32`,
    ]);
  });

  test('a machine that is not as it was last seen is looked at and put right', async () => {
    reconciler.aimFor(snapshot(1));
    begin();
    await verified(1);
    box.failOnce('ipset: the set does not exist');
    reconciler.aimFor(snapshot(2, [ana]));
    await verified(2);
    expect(box.peers()).toEqual([ana.publicKey]);
  });

  test('a failure is told, and tried again', async () => {
    box.failOnce('iptables-restore failed');
    reconciler.aimFor(snapshot(1));
    begin();
    await until('it is told', () => reports[0]?.problem === 'iptables-restore failed');
    expect(reports[0]?.applied).toBeUndefined();
    await verified(1);
    expect(reports.at(-1)?.problem).toBeUndefined();
  });

  test('a gateway without its interface is a problem, and the rest is in force', async () => {
    box.tamper((before) => ({ ...before, tunnel: { ...before.tunnel, forwarding: new Map() } }));
    reconciler.aimFor(snapshot(1));
    begin();
    await verified(1);
    expect(reports.at(-1)?.problem).toContain('no interface br-internal');
    expect(box.peers()).toHaveLength(2);
  });

  test('a node that was taken out of the snapshot lets everybody go, and says so', async () => {
    reconciler.aimFor(snapshot(1));
    begin();
    await verified(1);
    reconciler.aimFor({ ...snapshot(2), nodes: [] });
    await until('it is told', () => reports.at(-1)?.problem?.includes('not in the snapshot') === true);
    expect(box.peers()).toEqual([]);
  });
});
