import type { Bundle } from '#contract/bundle.ts';
import type { Name } from '#contract/name.ts';
import type { Cidr } from '#contract/network.ts';
import { desire } from '../connect.ts';
import { ownersOf } from '../failover/owners.ts';
import { endpointFor, isSessionDead, repairSilent } from '../node-memory.ts';
import { type DesiredPeer, desiredPeers, interfaceName, tunnelMtu } from '../tunnel.ts';
import { planTunnel, retryPeer, setPeer } from '../tunnel-plan.ts';
import type { World } from './world.ts';

/** The one hand on the interface: what it does, it does one after the other, each by what is known when it begins. */
export class TunnelKeeper {
  private readonly world: World;
  private last: Promise<unknown> = Promise.resolve();
  /** Who has what as far as this one has set it. */
  private owners: ReadonlyMap<Cidr, Name> = new Map();

  constructor(world: World) {
    this.world = world;
  }

  /** Makes the interface, its peers and its routes what they should be, whatever they are. */
  repair(): Promise<void> {
    return this.inTurn(async () => {
      const { platform, files, log } = this.world.watching;
      const { bundle } = this.world.joined;
      const { address } = bundle;
      const before = await platform.observe(interfaceName);
      const isSound = before?.isUp && before.mtu === tunnelMtu && before.addresses.join() === address;
      if (!isSound) {
        await platform.raise({ name: interfaceName, privateKeyFile: files.wireguardKeyFile, address, mtu: tunnelMtu });
        log(before === undefined ? `${interfaceName} was gone and is made anew` : `${interfaceName} is put right`);
      }
      const observed = isSound ? before : await platform.observe(interfaceName);
      if (observed === undefined) throw new Error(`${interfaceName} does not stay`);
      const { standing } = this.world;
      const plan = planTunnel(observed, await desire(platform, bundle, standing), (peer) =>
        endpointFor(peer, this.world.memoryOf(peer.node)),
      );
      await platform.changePeers(interfaceName, plan.peers);
      this.owners = ownersOf(bundle, standing);
      await platform.changeRoutes(interfaceName, plan.routes);
    });
  }

  /**
   * Gives each subnet to the node that should have it now, in one step. Only peers that gain are set: WireGuard takes from
   * the others what they lose. Routes stay as they are.
   */
  hand(): Promise<void> {
    return this.inTurn(async () => {
      const { bundle } = this.world.joined;
      const owners = ownersOf(bundle, this.world.standing);
      const gains = new Set(
        [...owners].filter(([cidr, node]) => this.owners.get(cidr) !== node).map(([, node]) => node),
      );
      if (gains.size === 0) return;
      const peers = desiredPeers(bundle, owners).filter(({ node }) => gains.has(node));
      await this.world.watching.platform.changePeers(
        interfaceName,
        peers.map((peer) => setPeer(peer, undefined)),
      );
      this.owners = owners;
    });
  }

  /** What can be done about nodes that do not answer: see `repairSilent`. */
  repairSilentNodes(): Promise<void> {
    return this.inTurn(async () => {
      const { platform, now } = this.world.watching;
      const silent = this.peers().filter(({ node }) => this.world.memoryOf(node).isSilent);
      if (silent.length === 0) return;
      const observed = (await platform.observe(interfaceName))?.peers ?? [];
      const clock = { unixSeconds: now() / 1000, monotonicMs: performance.now() };
      for (const peer of silent) {
        const seen = observed.find(({ publicKey }) => publicKey === peer.publicKey);
        const { steps, memory } = repairSilent(peer, seen, this.world.memoryOf(peer.node), clock);
        this.world.remember(peer.node, memory);
        await platform.changePeers(interfaceName, steps);
      }
    });
  }

  /** After a sleep, or in another network: sessions that ended meanwhile are begun at once, not when WireGuard's timers say. */
  renewDeadSessions(): Promise<void> {
    return this.inTurn(async () => {
      const { platform, now } = this.world.watching;
      const observed = (await platform.observe(interfaceName))?.peers ?? [];
      const steps = this.peers().flatMap((peer) => {
        const seen = observed.find(({ publicKey }) => publicKey === peer.publicKey);
        if (seen === undefined || !isSessionDead(seen, now() / 1000)) return [];
        return retryPeer(peer, seen.endpoint ?? endpointFor(peer, this.world.memoryOf(peer.node)));
      });
      await platform.changePeers(interfaceName, steps);
    });
  }

  /** Only a node whose endpoints the bundle changed is moved; the others may have roamed, and WireGuard knows better. */
  moveEndpoints(before: Bundle): Promise<void> {
    return this.inTurn(async () => {
      const had = new Map(before.nodes.map((node) => [node.publicKey, node.endpoints.join()]));
      const moved = this.peers().filter(
        ({ publicKey, endpoints }) => had.has(publicKey) && had.get(publicKey) !== endpoints.join(),
      );
      await this.world.watching.platform.changePeers(
        interfaceName,
        moved.map((peer) => setPeer(peer, peer.endpoints[0])),
      );
    });
  }

  private peers(): readonly DesiredPeer[] {
    const { joined, standing } = this.world;
    return desiredPeers(joined.bundle, ownersOf(joined.bundle, standing));
  }

  private inTurn(act: () => Promise<void>): Promise<void> {
    const turn = this.last.then(() => (this.world.closing.aborted ? undefined : act()));
    this.last = turn.catch(() => undefined);
    return turn;
  }
}
