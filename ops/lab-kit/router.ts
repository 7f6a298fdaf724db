import type { Host } from './host.ts';

/** Makes a host pass on what is not for itself. */
export async function forward(router: Host): Promise<void> {
  await router.sysctl('net.ipv4.ip_forward', 1);
}

/**
 * Makes a router hide what lies behind it, as the box in every flat does.
 *
 * `udpTimeoutSeconds` is how long it remembers a silent UDP mapping.
 */
export async function masquerade(router: Host, outside: string, udpTimeoutSeconds?: number): Promise<void> {
  await forward(router);
  await router.must(['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-o', outside, '-j', 'MASQUERADE']);
  await router.must(['iptables', '-P', 'FORWARD', 'DROP']);
  await router.must(['iptables', '-A', 'FORWARD', '!', '-i', outside, '-j', 'ACCEPT']);
  const answers = ['-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT'];
  await router.must(['iptables', '-A', 'FORWARD', '-i', outside, ...answers]);
  if (udpTimeoutSeconds === undefined) return;
  await router.sysctl('net.netfilter.nf_conntrack_udp_timeout', udpTimeoutSeconds);
  await router.sysctl('net.netfilter.nf_conntrack_udp_timeout_stream', udpTimeoutSeconds);
}

export async function setLink(host: Host, name: string, state: 'up' | 'down'): Promise<void> {
  await host.ip(`link set ${name} ${state}`);
}

/** Swallows everything that passes a router by one interface; both ends still think that the link is up. */
export async function blackhole(router: Host, name: string, on: boolean): Promise<void> {
  const change = on ? '-I' : '-D';
  for (const direction of ['-i', '-o']) {
    await router.must(['iptables', '-t', 'mangle', change, 'FORWARD', direction, name, '-j', 'DROP']);
  }
}
