import type { Host } from './host.ts';

/**
 * What a carrier does to large packets. `mtu` is that of one hop. `dropsFragNeeded`: its routers say nothing when a
 * packet is too large, or say it in vain. `dropsFragments`: only whole packets pass. `clearsDf`: the don't-fragment bit
 * is taken off on the way. `mtuDown`: another MTU for what comes back.
 */
export type Carrier = {
  mtu?: number;
  dropsFragNeeded?: boolean;
  dropsFragments?: boolean;
  clearsDf?: boolean;
  mtuDown?: { mtu: number; destination: string; via: string };
};

/** One end of the hop: a router and its interface on it. */
export type Hop = { router: Host; name: string };

/**
 * Makes the hop between two routers such a carrier's. Neither router may track connections (NAT belongs on another host):
 * the kernel would put fragments together again before any rule sees them.
 */
export async function carry(a: Hop, b: Hop, carrier: Carrier): Promise<void> {
  await Promise.all([become(a, carrier), become(b, carrier)]);
  const { mtuDown } = carrier;
  if (mtuDown !== undefined) {
    await b.router.ip(`route replace ${mtuDown.destination} via ${mtuDown.via} mtu ${mtuDown.mtu}`);
  }
}

async function become({ router, name }: Hop, carrier: Carrier): Promise<void> {
  await router.sysctl('net.ipv4.icmp_ratelimit', 0);
  if (carrier.mtu !== undefined) await router.ip(`link set ${name} mtu ${carrier.mtu}`);
  if (carrier.dropsFragNeeded) {
    await router.must([...v4, 'OUTPUT', '-p', 'icmp', '--icmp-type', 'fragmentation-needed', '-j', 'DROP']);
    await router.must([...v6, 'OUTPUT', '-p', 'icmpv6', '--icmpv6-type', 'packet-too-big', '-j', 'DROP']);
  }
  if (carrier.dropsFragments) {
    await router.must([...v4, 'PREROUTING', '-t', 'raw', '-f', '-j', 'DROP']);
    for (const part of ['--fragmore', '--fraglast']) {
      await router.must([...v6, 'PREROUTING', '-t', 'raw', '-m', 'frag', part, '-j', 'DROP']);
    }
  }
  if (carrier.clearsDf) await router.must(['nft', '-f', '-'], { stdin: clearDf });
}

const v4 = ['iptables', '-A'] as const;
const v6 = ['ip6tables', '-A'] as const;

/** nft wants the line break before the last brace. */
const clearDf = `table ip lab {
  chain before {
    type filter hook prerouting priority -450;
    ip frag-off & 0x4000 == 0x4000 ip frag-off set 0
  }
}
`;
