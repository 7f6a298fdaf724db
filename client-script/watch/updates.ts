import type { Bundle } from '#contract/bundle.ts';
import type { RosterNode } from '#contract/roster.ts';
import { compareVersions } from '#contract/snapshot.ts';
import { verifyBundle } from '../bundle.ts';
import { messageOf } from '../failure.ts';
import { fetchSigned } from '../fetch-signed.ts';
import { offeredVersion, offersKeys, offersNewer } from '../node-memory.ts';
import { verifyTrustList } from '../trust.ts';
import type { TunnelKeeper } from './tunnel-keeper.ts';
import type { World } from './world.ts';

/** Takes over what nodes have that is newer: this device's bundle, and the list of keys. */
export class Updates {
  private readonly world: World;
  private readonly keeper: TunnelKeeper;

  constructor(world: World, keeper: TunnelKeeper) {
    this.world = world;
    this.keeper = keeper;
  }

  isOffered(): boolean {
    const { bundle, trust } = this.world.joined;
    const now = performance.now();
    return this.world.nodes.some(({ name }) => {
      const memory = this.world.memoryOf(name);
      return offersNewer(bundle, memory, now) || offersKeys(trust.version, memory, now);
    });
  }

  /** @returns whether something else is in force now. What is not newer, or badly signed, changes nothing. */
  async renew(problems: string[]): Promise<boolean> {
    const before = this.world.joined.bundle;
    await this.renewKeys(problems);
    await this.renewBundle(problems);
    return this.world.joined.bundle !== before;
  }

  private async renewBundle(problems: string[]): Promise<void> {
    for (const node of this.world.nodes) {
      if (this.world.closing.aborted) return;
      const memory = this.world.memoryOf(node.name);
      if (!offersNewer(this.world.joined.bundle, memory, performance.now()) || memory.answer === undefined) continue;
      const version = offeredVersion(memory.answer);
      try {
        if (await this.accept(await this.fetch('bundle', node))) return;
      } catch (error) {
        problems.push(`the bundle from ${node.name} was not taken: ${messageOf(error)}`);
      }
      this.world.remember(node.name, { ...this.world.memoryOf(node.name), vain: { version, at: performance.now() } });
    }
  }

  /** Where a node has a newer list of keys, it is taken over together with the bundle that it vouches for. */
  private async renewKeys(problems: string[]): Promise<void> {
    for (const node of this.world.nodes) {
      const { trust, bundle: before, keys, membership } = this.world.joined;
      const memory = this.world.memoryOf(node.name);
      if (this.world.closing.aborted || !offersKeys(trust.version, memory, performance.now())) continue;
      this.world.remember(node.name, { ...memory, keysTriedAt: performance.now() });
      try {
        const trustJws = await this.fetch('trust', node);
        const next = await verifyTrustList(trustJws, membership.root);
        if (next.version <= trust.version) continue;
        const bundleJws = await this.fetch('bundle', node);
        const expected = { deviceKey: keys.wireguard.publicKey, notOlderThan: before };
        const { files, now, log } = this.world.watching;
        const bundle = await verifyBundle(bundleJws, next, expected, { at: now() });
        await files.saveTogether({ trust: trustJws, bundle: bundleJws });
        this.world.joined = { ...this.world.joined, trust: next, bundle };
        await this.keeper.moveEndpoints(before);
        log(`the list of keys ${next.version} is in force`);
      } catch (error) {
        problems.push(`the list of keys from ${node.name} was not taken: ${messageOf(error)}`);
      }
    }
  }

  private fetch(what: 'bundle' | 'trust', { tunnelAddress }: RosterNode): Promise<string> {
    return fetchSigned(what, { tunnelAddress, from: this.world.joined.bundle.address }, this.world.closing);
  }

  private async accept(jws: string): Promise<boolean> {
    const { files, log, now } = this.world.watching;
    const { bundle: before, keys, trust } = this.world.joined;
    const expected = { deviceKey: keys.wireguard.publicKey, notOlderThan: before };
    const bundle = await verifyBundle(jws, trust, expected, { at: now() });
    if (compareVersions(bundle, before) <= 0) return false;
    await files.saveSigned('bundle', jws);
    this.world.joined = { ...this.world.joined, bundle };
    if (bundle.epoch > before.epoch) await this.followMaster(bundle);
    await this.keeper.moveEndpoints(before);
    log(`bundle ${bundle.epoch}-${bundle.revision} is in force`);
    return true;
  }

  /** A master that was restored may have another URL. Who is there is checked by its root key as ever. */
  private async followMaster({ master }: Bundle): Promise<void> {
    const { membership } = this.world.joined;
    if (master === undefined || master === membership.master) return;
    this.world.joined = { ...this.world.joined, membership: { ...membership, master } };
    await this.world.watching.files.saveMembership(this.world.joined.membership);
    this.world.watching.log(`the master is at ${master} now`);
  }
}
