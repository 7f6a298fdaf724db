import * as v from 'valibot';

/**
 * Addresses, subnets and endpoints, parsed strictly: no octal, no short forms, no host bits in a subnet.
 * Inside the tunnel is IPv4 only; IPv6 appears in endpoints.
 */

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ipv4Pattern = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

export const Ipv4 = v.pipe(
  v.string(),
  v.regex(ipv4Pattern, 'must be an IPv4 address such as 10.8.0.5, four plain decimal numbers'),
  v.examples(['10.91.64.70']),
);
export type Ipv4 = v.InferOutput<typeof Ipv4>;

/** An IPv4 subnet with its host bits zero, e.g. 172.19.0.0/16. /0 is refused: no subnet of ours is everything. */
export const Cidr = v.pipe(
  v.string(),
  v.regex(
    new RegExp(`^${octet}(?:\\.${octet}){3}/(?:[1-9]|[12]\\d|3[0-2])$`),
    'must be an IPv4 subnet such as 172.19.0.0/16',
  ),
  v.check(hasNoHostBits, 'has host bits set; write the first address of the subnet, such as 172.19.0.0/16'),
  v.examples(['172.19.0.0/16']),
);
export type Cidr = v.InferOutput<typeof Cidr>;

export const PortNumber = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(65_535));

/** A WireGuard endpoint as `wg(8)` takes it: IPv4:port, [IPv6]:port or hostname:port. */
export const Endpoint = v.pipe(
  v.string(),
  v.maxLength(261),
  v.regex(
    /^(?:\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):[1-9]\d{0,4}$/,
    'must be host:port, such as vpn.example.com:51820 or [2001:db8::1]:51820',
  ),
  v.check(hasValidPort, 'has a port above 65535'),
  v.examples(['198.51.100.7:51820']),
);
export type Endpoint = v.InferOutput<typeof Endpoint>;

export const DnsName = v.pipe(
  v.string(),
  v.maxLength(253),
  v.regex(
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be a lower-case DNS name of at least two labels, such as gitlab.corp.internal',
  ),
  v.examples(['gitlab.corp.internal']),
);
export type DnsName = v.InferOutput<typeof DnsName>;

/** A Linux interface name: 1 to 15 characters, never starting with a dash (it would read as an option). */
export const InterfaceName = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,14}$/, 'must be an interface name such as eth0, at most 15 characters'),
  v.notValues(['.', '..'], 'is not an interface name'),
  v.examples(['br-internal']),
);
export type InterfaceName = v.InferOutput<typeof InterfaceName>;

/** The address as an unsigned 32-bit number. */
export function ipv4ToNumber(address: Ipv4): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function numberToIpv4(value: number): Ipv4 {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

/** First and last address of a subnet, as numbers. */
export function cidrRange(cidr: Cidr): { first: number; last: number; prefix: number } {
  const [base = '', bits = '32'] = cidr.split('/');
  const first = ipv4ToNumber(base);
  const prefix = Number(bits);
  return { first, last: first + 2 ** (32 - prefix) - 1, prefix };
}

export function cidrContains(cidr: Cidr, address: Ipv4): boolean {
  const { first, last } = cidrRange(cidr);
  const value = ipv4ToNumber(address);
  return value >= first && value <= last;
}

export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  const left = cidrRange(a);
  const right = cidrRange(b);
  return left.first <= right.last && right.first <= left.last;
}

function hasNoHostBits(cidr: string): boolean {
  const { first, prefix } = cidrRange(cidr);
  return first % 2 ** (32 - prefix) === 0;
}

function hasValidPort(endpoint: string): boolean {
  return Number(endpoint.slice(endpoint.lastIndexOf(':') + 1)) <= 65_535;
}
