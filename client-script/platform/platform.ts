import type { Platform as PlatformName } from '#contract/enrolment.ts';
import type { Ipv4 } from '#contract/network.ts';
import type { Counters } from '../failover/silence.ts';
import type { LocalRoute } from '../tunnel.ts';
import type { ObservedTunnel, PeerStep, RouteStep } from '../tunnel-plan.ts';

export type LinkSettings = { name: string; privateKeyFile: string; address: Ipv4; mtu: number };

/** Something this machine has not got, and how to get it. */
export type Lack = { what: string; next: string };

/** All that the client asks of an operating system. */
export interface Platform {
  readonly name: PlatformName;

  /** What is missing here to run a tunnel. Changes nothing. */
  findLacks(): Promise<readonly Lack[]>;

  /**
   * Sees to it that the interface is there and up, with this key, this one address (as /32) and this MTU. Adds neither
   * peers nor routes, and leaves those that are there. Repeating it changes nothing.
   */
  raise(settings: LinkSettings): Promise<void>;

  /** The interface as it is now, undefined when there is none. What cannot be read is an error, not "nothing". */
  observe(name: string): Promise<ObservedTunnel | undefined>;

  /** The routes of this machine that lead elsewhere. */
  localRoutes(name: string): Promise<readonly LocalRoute[]>;

  /** Carries out the steps in their order, peers in one command. */
  changePeers(name: string, steps: readonly PeerStep[]): Promise<void>;
  changeRoutes(name: string, steps: readonly RouteStep[]): Promise<void>;

  /** Removes the interface, and its peers and routes with it. There being none is no error. */
  lower(name: string): Promise<void>;

  /** Packets that passed the interface. Cheap: read ten times a second. Undefined where nobody counts. */
  counters(name: string): Counters | undefined;

  /**
   * Says when links, addresses or routes of this machine change, until `signal` ends it. @returns false where the system
   * does not tell.
   */
  watchNetwork(onChange: () => void, signal: AbortSignal): boolean;

  /** Something that tells this process from any later one with the same number; undefined when there is none. */
  identifyProcess(pid: number): Promise<string | undefined>;
}
