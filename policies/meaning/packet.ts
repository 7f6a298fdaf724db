import type { Ipv4 } from '#contract/network.ts';
import type { Port } from '#policies/language/statement.ts';

/**
 * A packet as one node meets it. Source, destination and port are those of the flow as its beginner sent it, also for
 * what comes back; addresses are as written before anything was redirected.
 */
export interface Packet {
  readonly node: string;
  readonly family: 4 | 6;
  /** How the flow's first packet reached the node; `node`: the node itself began it. */
  readonly from: { readonly kind: 'tunnel' } | { readonly kind: 'mesh' } | { readonly kind: 'node' } | Interface;
  /**
   * Where the node's own routing takes it: to itself, to a container that Docker publishes at an address of the node,
   * back into the tunnel, to another node over the mesh, or out by an interface.
   */
  readonly to:
    | { readonly kind: 'node' }
    | { readonly kind: 'published' }
    | { readonly kind: 'tunnel' }
    | { readonly kind: 'mesh' }
    | Interface;
  readonly source: Ipv4;
  readonly destination: Ipv4;
  /** `vrrp` is what the nodes agree by on who holds the address that moves. */
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'vrrp' | 'other';
  /** The destination port of tcp and udp. */
  readonly port: number;
  /** The type of an icmp message; 8 is the echo request. */
  readonly icmpType: number;
  /**
   * `first` opens a flow, `further` continues it the same way, `reply` comes back, `error` is an ICMP error that comes
   * back about it, `stray` belongs to no flow the node knows (TCP from before a failover).
   */
  readonly phase: 'first' | 'further' | 'reply' | 'error' | 'stray';
}

export interface Interface {
  readonly kind: 'interface';
  readonly name: string;
}

export const echoRequest = 8;

/** No ports means everything that travels in IP. */
export function portsMatch(ports: readonly Port[], { protocol, port, icmpType }: Packet): boolean {
  return (
    ports.length === 0 ||
    ports.some((one) =>
      one.protocol === 'icmp'
        ? protocol === 'icmp' && icmpType === echoRequest
        : one.protocol === protocol && one.first <= port && port <= one.last,
    )
  );
}
