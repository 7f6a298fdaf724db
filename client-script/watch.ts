import { setTimeout as pause } from 'node:timers/promises';
import type { Bundle } from '#contract/bundle.ts';
import type { Name } from '#contract/name.ts';
import { compareVersions } from '#contract/snapshot.ts';
import type { ObservedPeer } from '#contract/wg.ts';
import { verifyBundle } from './bundle.ts';
import { desire } from './connect.ts';
import { messageOf } from './failure.ts';
import { fetchSigned } from './fetch-signed.ts';
import { type Joined, mustBeJoined } from './membership.ts';
import {
  endpointFor,
  isFreshSilence,
  type NodeMemory,
  newMemory,
  offeredVersion,
  offersNewer,
  repairSilent,
} from './node-memory.ts';
import type { Platform } from './platform/platform.ts';
import { openProber, type Prober } from './probe.ts';
import { ProcessFile } from './process-file.ts';
import type { StateFiles } from './state-files.ts';
import { verifyTrustList } from './trust.ts';
import { type DesiredPeer, interfaceName, tunnelMtu } from './tunnel.ts';
import { planTunnel, setPeer } from './tunnel-plan.ts';
import type { WatchReport } from './watch-report.ts';

const intervalMs = 5_000;
/** Until the next look when a node did not answer for the first time. */
const secondLookMs = 500;
const askLimitMs = 1_500;
/** Hints wake the watcher no more often than this. */
const shortestPauseMs = 200;
/** A node whose list of keys was not taken is asked for it again after this. */
const keysPatienceMs = 10_000;

export type Watching = { platform: Platform; files: StateFiles; now: () => number; log: (line: string) => void };

/**
 * Keeps the tunnel as the newest bundle says, until `signal` ends it. The tunnel stays when the watcher goes.
 *
 * @returns false when another watcher is at it already.
 */
export async function watch(watching: Watching, signal: AbortSignal): Promise<boolean> {
  const { files, platform, log } = watching;
  const processFile = new ProcessFile(files, platform);
  const joined = await mustBeJoined(files);
  if (!(await processFile.claim())) return false;
  const watcher = new Watcher(watching, joined);
  log(`watching ${interfaceName} as process ${process.pid}`);
  signal.addEventListener('abort', () => watcher.close());
  try {
    while (!signal.aborted && (await processFile.isHeld())) {
      await watcher.look();
      await watcher.rest(signal);
    }
  } finally {
    watcher.close();
    await processFile.release();
  }
  return true;
}

class Watcher {
  private readonly watching: Watching;
  private joined: Joined;
  private readonly memories = new Map<Name, NodeMemory>();
  private prober: { address: string; open: Prober } | undefined;
  private wake: () => void = () => undefined;
  private isWoken = false;
  private readonly closing = new AbortController();
  private lastSaid = '';

  constructor(watching: Watching, joined: Joined) {
    this.watching = watching;
    this.joined = joined;
  }

  /** One look: repair what is not as it should be, ask every node, take over a newer bundle. */
  async look(): Promise<void> {
    const problems: string[] = [];
    this.isWoken = false;
    try {
      await this.repair();
      await this.askNodes();
      await this.renewKeys(problems);
      if (await this.renewBundle(problems)) await this.repair();
    } catch (error) {
      problems.push(messageOf(error));
    }
    const said = problems.join('; ');
    if (said !== this.lastSaid) this.watching.log(said === '' ? 'all is well again' : said);
    this.lastSaid = said;
    await this.report(problems).catch((error) => this.watching.log(messageOf(error)));
  }

  /** Until the next look is due, or somebody hints that something changed. */
  async rest(signal: AbortSignal): Promise<void> {
    await pause(shortestPauseMs, undefined, { signal }).catch(() => undefined);
    if (this.isWoken || signal.aborted) return;
    const isPuzzled = [...this.memories.values()].some(isFreshSilence);
    const untilNext = (isPuzzled ? secondLookMs : intervalMs) * (0.8 + 0.4 * Math.random()) - shortestPauseMs;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, untilNext);
      signal.addEventListener('abort', done);
      this.wake = done;
    });
  }

  /** Ends a look that is under way as soon as can be. */
  close(): void {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    this.prober?.open.close();
  }

  private async repair(): Promise<void> {
    const { platform, files, log } = this.watching;
    const { bundle, membership } = this.joined;
    const { address } = bundle;
    const before = await platform.observe(interfaceName);
    if (before === undefined || !before.isUp || before.mtu !== tunnelMtu || before.addresses.join() !== address) {
      await platform.raise({ name: interfaceName, privateKeyFile: files.wireguardKeyFile, address, mtu: tunnelMtu });
      log(before === undefined ? `${interfaceName} was gone and is made anew` : `${interfaceName} is put right`);
    }
    const tunnel = await desire(platform, bundle, new Set(membership.reached));
    const observed = await platform.observe(interfaceName);
    if (observed === undefined) throw new Error(`${interfaceName} does not stay`);
    const plan = planTunnel(observed, tunnel, (peer) => endpointFor(peer, this.memoryOf(peer.node)));
    await platform.changePeers(interfaceName, plan.peers);
    await platform.changeRoutes(interfaceName, plan.routes);
  }

  private async askNodes(): Promise<void> {
    const { platform, files } = this.watching;
    const { bundle, membership } = this.joined;
    const prober = await this.proberOn(bundle.address);
    if (this.closing.signal.aborted) return;
    const results = await Promise.all(
      bundle.nodes.map(async (node) => ({ node, answered: await prober.ask(node.tunnelAddress, askLimitMs) })),
    );
    if (this.closing.signal.aborted) return;
    const silent: Name[] = [];
    for (const { node, answered } of results) {
      if (answered === undefined) silent.push(node.name);
      const memory = this.memoryOf(node.name);
      const { answer: _, rttMs: __, ...rest } = memory;
      const { silence: ___, ...heard } = memory;
      this.memories.set(
        node.name,
        answered === undefined ? rest : { ...heard, ...answered, answeredAt: performance.now() },
      );
    }
    const reached = new Set([
      ...membership.reached,
      ...results.filter(({ answered }) => answered !== undefined).map(({ node }) => node.name),
    ]);
    if (reached.size > membership.reached.length) {
      this.joined = { ...this.joined, membership: { ...membership, reached: [...reached] } };
      await files.saveMembership(this.joined.membership);
    }
    if (silent.length > 0) {
      const peers = (await platform.observe(interfaceName))?.peers ?? [];
      await this.repairSilentNodes(silent, peers);
    }
  }

  private async repairSilentNodes(silent: readonly Name[], observed: readonly ObservedPeer[]): Promise<void> {
    const { platform, now } = this.watching;
    const { bundle, membership } = this.joined;
    const clock = { unixSeconds: now() / 1000, monotonicMs: performance.now() };
    const { peers } = await desire(platform, bundle, new Set(membership.reached));
    for (const peer of peers.filter(({ node }) => silent.includes(node))) {
      const { steps, memory } = repairSilent(
        peer,
        observed.find(({ publicKey }) => publicKey === peer.publicKey),
        this.memoryOf(peer.node),
        clock,
      );
      this.memories.set(peer.node, memory);
      await platform.changePeers(interfaceName, steps);
    }
  }

  /** @returns whether a newer bundle is in force now. What is not newer, or badly signed, changes nothing. */
  private async renewBundle(problems: string[]): Promise<boolean> {
    for (const node of this.joined.bundle.nodes) {
      if (this.closing.signal.aborted) return false;
      const memory = this.memoryOf(node.name);
      if (!offersNewer(this.joined.bundle, memory, performance.now()) || memory.answer === undefined) continue;
      const version = offeredVersion(memory.answer);
      try {
        if (await this.accept(await this.fetch('bundle', node))) return true;
      } catch (error) {
        problems.push(`the bundle from ${node.name} was not taken: ${messageOf(error)}`);
      }
      this.memories.set(node.name, { ...memory, vain: { version, at: performance.now() } });
    }
    return false;
  }

  private fetch(what: 'bundle' | 'trust', { tunnelAddress }: Bundle['nodes'][number]): Promise<string> {
    return fetchSigned(what, { tunnelAddress, from: this.joined.bundle.address }, this.closing.signal);
  }

  /** Where a node has a newer list of keys, it is taken over together with the bundle that it vouches for. */
  private async renewKeys(problems: string[]): Promise<void> {
    for (const node of this.joined.bundle.nodes) {
      const { trust, bundle: before, keys } = this.joined;
      const memory = this.memoryOf(node.name);
      if ((memory.answer?.trustVersion ?? 0) <= trust.version) continue;
      if (performance.now() - (memory.keysTriedAt ?? Number.NEGATIVE_INFINITY) < keysPatienceMs) continue;
      this.memories.set(node.name, { ...memory, keysTriedAt: performance.now() });
      try {
        const trustJws = await this.fetch('trust', node);
        const next = await verifyTrustList(trustJws, this.joined.membership.root);
        if (next.version <= trust.version) continue;
        const bundleJws = await this.fetch('bundle', node);
        const expected = { deviceKey: keys.wireguard.publicKey, notOlderThan: before };
        const bundle = await verifyBundle(bundleJws, next, expected, { at: this.watching.now() });
        await this.watching.files.saveTogether({ trust: trustJws, bundle: bundleJws });
        this.joined = { ...this.joined, trust: next, bundle };
        await this.moveEndpoints(before, bundle);
        this.watching.log(`the list of keys ${next.version} is in force`);
      } catch (error) {
        problems.push(`the list of keys from ${node.name} was not taken: ${messageOf(error)}`);
      }
    }
  }

  private async accept(jws: string): Promise<boolean> {
    const { files, log } = this.watching;
    const { bundle: before, keys, trust } = this.joined;
    const expected = { deviceKey: keys.wireguard.publicKey, notOlderThan: before };
    const bundle = await verifyBundle(jws, trust, expected, { at: this.watching.now() });
    if (compareVersions(bundle, before) <= 0) return false;
    await files.saveSigned('bundle', jws);
    this.joined = { ...this.joined, bundle };
    if (bundle.epoch > before.epoch) await this.followMaster(bundle);
    await this.moveEndpoints(before, bundle);
    log(`bundle ${bundle.epoch}-${bundle.revision} is in force`);
    return true;
  }

  /** A master that was restored may have another URL. Who is there is checked by its root key as ever. */
  private async followMaster({ master }: Bundle): Promise<void> {
    const { membership } = this.joined;
    if (master === undefined || master === membership.master) return;
    this.joined = { ...this.joined, membership: { ...membership, master } };
    await this.watching.files.saveMembership(this.joined.membership);
    this.watching.log(`the master is at ${master} now`);
  }

  /** Only a node whose endpoints the bundle changed is moved; the others may have roamed, and WireGuard knows better. */
  private async moveEndpoints(before: Bundle, after: Bundle): Promise<void> {
    const { platform } = this.watching;
    const had = new Map(before.nodes.map((node) => [node.publicKey, node.endpoints.join()]));
    const moved = after.nodes.filter(
      ({ publicKey, endpoints }) => had.has(publicKey) && had.get(publicKey) !== endpoints.join(),
    );
    if (moved.length === 0) return;
    const { peers } = await desire(platform, after, new Set(this.joined.membership.reached));
    const isMoved = (peer: DesiredPeer) => moved.some(({ publicKey }) => publicKey === peer.publicKey);
    await platform.changePeers(
      interfaceName,
      peers.filter(isMoved).map((peer) => setPeer(peer, peer.endpoints[0])),
    );
  }

  private async proberOn(address: string): Promise<Prober> {
    if (this.prober?.address === address) return this.prober.open;
    this.prober?.open.close();
    this.prober = undefined;
    const open = await openProber(address, (from) => {
      if (!this.joined.bundle.nodes.some(({ tunnelAddress }) => tunnelAddress === from)) return;
      this.isWoken = true;
      this.wake();
    });
    this.prober = { address, open };
    // Closed while it was being opened.
    if (this.closing.signal.aborted) open.close();
    return open;
  }

  private memoryOf(node: Name): NodeMemory {
    return this.memories.get(node) ?? newMemory;
  }

  private async report(problems: readonly string[]): Promise<void> {
    const { files, now } = this.watching;
    const report: WatchReport = {
      at: new Date(now()).toISOString(),
      pid: process.pid,
      nodes: this.joined.bundle.nodes.map(({ name }) => {
        const { answer, rttMs } = this.memoryOf(name);
        return {
          name,
          isAnswering: answer !== undefined,
          isHealthy: answer?.healthy ?? false,
          rttMs: rttMs === undefined ? null : Math.round(rttMs * 10) / 10,
        };
      }),
      problems: [...problems],
    };
    await files.saveReport(report);
  }
}
