import type { DnsName, Ipv4 } from '#contract/network.ts';
import type { Preset } from '#contract/places.ts';
import type { World } from '#policies/meaning/world.ts';

/** A service with a front: where nodes answer for it by HTTPS, under which name alone, and whom they ask. */
export type Site = {
  service: string;
  dnsName: DnsName;
  frontAddress: Ipv4;
  backend: { scheme: 'http' | 'https'; address: Ipv4; port: number };
  preset: Preset | undefined;
};

/** On these ports a backend speaks TLS, as all the programs do that people put there. */
const portsOfTls: readonly number[] = [443, 8443];

/** The fronts that have an address, by the names of their services. */
export function desiredSites({ fronts }: Pick<World, 'fronts'>): readonly Site[] {
  return [...fronts]
    .flatMap(([frontAddress, { name, address, ports, dnsName, preset }]): Site[] => {
      const port = ports[0]?.value;
      if (dnsName === undefined || port?.protocol !== 'tcp') return [];
      const scheme = portsOfTls.includes(port.first) ? 'https' : 'http';
      const backend = { scheme, address: address.value, port: port.first } as const;
      return [{ service: name.value, dnsName: dnsName.value, frontAddress, backend, preset: preset?.value }];
    })
    .sort((a, b) => (a.service < b.service ? -1 : 1));
}
