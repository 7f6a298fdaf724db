import { type Cidr, cidrRange, type Ipv4, ipv4ToNumber } from '#contract/network.ts';

/**
 * Finds the network an address belongs to. Subnets are disjoint or nested, and the most specific one wins: an address in
 * both 172.19.0.0/16 and 172.19.7.0/24 belongs to the second alone.
 */
export class NetworkIndex<T> {
  readonly #byPrefix = new Map<number, Map<number, { cidr: Cidr; value: T }>>();
  #prefixes: readonly number[] = [];

  /** False, and nothing changes, when the very same subnet is already there. */
  add(cidr: Cidr, value: T): boolean {
    const { first, prefix } = cidrRange(cidr);
    const bases = this.#byPrefix.get(prefix) ?? new Map();
    if (bases.has(first)) return false;
    bases.set(first, { cidr, value });
    this.#byPrefix.set(prefix, bases);
    this.#prefixes = [...this.#byPrefix.keys()].sort((a, b) => b - a);
    return true;
  }

  same(cidr: Cidr): T | undefined {
    const { first, prefix } = cidrRange(cidr);
    return this.#byPrefix.get(prefix)?.get(first)?.value;
  }

  /** The most specific network that holds the whole subnet, itself included. */
  holderOf(cidr: Cidr): T | undefined {
    const { first, prefix } = cidrRange(cidr);
    return this.#lookUp(first, prefix);
  }

  networkOf(address: Ipv4): T | undefined {
    return this.#lookUp(ipv4ToNumber(address), 32);
  }

  /** The most specific network around this one, not itself. */
  around(cidr: Cidr): T | undefined {
    const { first, prefix } = cidrRange(cidr);
    return this.#lookUp(first, prefix - 1);
  }

  #lookUp(address: number, longest: number): T | undefined {
    for (const prefix of this.#prefixes) {
      if (prefix > longest) continue;
      const found = this.#byPrefix.get(prefix)?.get(address - (address % 2 ** (32 - prefix)));
      if (found !== undefined) return found.value;
    }
    return undefined;
  }
}
