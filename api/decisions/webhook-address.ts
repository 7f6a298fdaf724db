import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

/** A subnet of either family, as written: `10.0.0.0/8`, `fd00::/8`. */
export type Subnet = string;

export type AddressRules = {
  /** What the operator has opened. */
  allow: readonly Subnet[];
  /** The subnet of the devices. */
  pool: Subnet;
  /** This machine's own addresses: what is closed from outside may be open from here. */
  own: readonly string[];
};

/** Never a receiver, whatever was opened: the services in clouds that hand out the machine's own credentials. */
const credentialServices = ['169.254.169.254', 'fd00:ec2::254', '100.100.100.200'].map((text) => ipaddr.parse(text));
const never = new Set(['unspecified', 'broadcast', 'multicast']);
const globalIpv6: Range = ipaddr.parseCIDR('2000::/3');

/**
 * Whether a webhook may be sent to an address. Without being opened by the operator these are public addresses alone:
 * everything that is private, shared, local to a link or a machine, reserved, or another form of such an address is not.
 */
export function mayReceive(text: string, { allow, pool, own }: AddressRules): boolean {
  const address = parse(text);
  if (address === undefined || never.has(address.range())) return false;
  if (credentialServices.some((one) => isSame(one, address)) || within(address, ipaddr.parseCIDR(pool))) return false;
  if (allow.some((subnet) => within(address, ipaddr.parseCIDR(subnet)))) return true;
  if (own.some((one) => isSame(parse(one), address))) return false;
  if (address.range() !== 'unicast') return false;
  return address.kind() === 'ipv4' || within(address, globalIpv6);
}

/** Why a text is no subnet; undefined for one that is. */
export function subnetProblem(text: string): string | undefined {
  if (!ipaddr.isValidCIDR(text)) return 'It must be a subnet such as 10.0.0.0/8 or fd00::/8.';
  const [, bits] = ipaddr.parseCIDR(text);
  return bits === 0 ? 'That is every address there is. Name the subnet of the receiver.' : undefined;
}

/** An IPv4 address in IPv6 clothes is the IPv4 address. */
function parse(text: string): Address | undefined {
  const bare = text.replace(/%.*$/, '');
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}

function isSame(one: Address | undefined, other: Address): boolean {
  return one?.toNormalizedString() === other.toNormalizedString();
}

function within(address: Address, [base, bits]: Range): boolean {
  if (address instanceof ipaddr.IPv4) return base instanceof ipaddr.IPv4 && address.match(base, bits);
  return base instanceof ipaddr.IPv6 && address.match(base, bits);
}
