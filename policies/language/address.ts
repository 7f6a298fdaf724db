import * as v from 'valibot';
import { Cidr, cidrRange, Ipv4, numberToIpv4 } from '#contract/network.ts';

/** A value read from one word, or why the word is not one. */
export type Read<T> = { readonly ok: true; readonly value: T } | Refusal;
export interface Refusal {
  readonly ok: false;
  readonly code: string;
  readonly message: string;
  readonly suggestion?: string;
}

/** Subnets no tunnel leads to: a policy that names one is a mistake, or an attempt on the node itself. */
const unreachable = [
  ['0.0.0.0/8', 'addresses of no network'],
  ['127.0.0.0/8', 'the loopback of every machine'],
  ['169.254.0.0/16', 'link-local addresses, which no router forwards'],
  ['224.0.0.0/3', 'multicast and reserved addresses'],
] as const;

export function readAddress(word: string): Read<Ipv4> {
  if (v.is(Ipv4, word)) return notUnreachable(word, `${word}/32`);
  const bare = /^(.*)\/32$/.exec(word)?.[1];
  if (bare !== undefined && v.is(Ipv4, bare))
    return refusal('not-an-address', `${word} is a subnet; one address is written without /32`, bare);
  if (/^[0-9.]+\/\d+$/.test(word))
    return refusal('not-an-address', `${word} is a subnet, but one address is needed here, such as 172.19.0.10`);
  return explained(word, 'an address such as 172.19.0.10');
}

export function readSubnet(word: string): Read<Cidr> {
  if (v.is(Cidr, word)) return notUnreachable(word, word);
  if (v.is(Ipv4, word))
    return refusal('no-prefix', `${word} is one address; a subnet says how long its prefix is`, `${word}/32`);
  return explained(word, 'a subnet such as 172.19.0.0/16');
}

/** An address or a subnet, as a subnet. */
export function readPlace(word: string): Read<Cidr> {
  return readSubnet(v.is(Ipv4, word) ? `${word}/32` : word);
}

/** One address is written without its /32. */
export function writtenPlace(cidr: Cidr): string {
  return cidr.endsWith('/32') ? cidr.slice(0, -3) : cidr;
}

function notUnreachable(word: string, cidr: Cidr): Read<string> {
  const range = cidrRange(cidr);
  const inside = unreachable.find(([other]) => {
    const { first, last } = cidrRange(other);
    return range.first <= last && first <= range.last;
  });
  if (inside === undefined) return { ok: true, value: word };
  return refusal('unreachable-address', `${word} lies in ${inside[0]}: ${inside[1]}. No tunnel leads there`);
}

/**
 * Why a word that looks like an address is none. Programs read `010.0.0.1`, `10.1` and `0x0a000001` in different ways;
 * a policy must not depend on which one reads it.
 */
function explained(word: string, expected: string): Refusal {
  const [base = '', prefix] = word.split('/');
  const mapped = /^(?:0*:)*:?ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(base)?.[1];
  if (mapped !== undefined)
    return refusal(
      'ipv6-inside',
      `${word} is an IPv4 address in IPv6 clothes; write it plainly`,
      prefix === undefined ? mapped : undefined,
    );
  if (base.includes(':') && /^[0-9a-fA-F:.%[\]]+$/.test(base))
    return refusal(
      'ipv6-inside',
      `${word} is IPv6. Inside the tunnel is IPv4 only for now: IPv6 from a device is dropped and counted, and endpoints may be IPv6. Name the IPv4 address of the place`,
    );
  if (/^\d+$/.test(word)) return refusal('not-an-address', `${word} is a bare number; write ${expected}`);
  if (/(?:^|\.)0[xX]/.test(base))
    return refusal('not-an-address', `${word} has a hexadecimal part; write four decimal numbers, such as 172.19.0.10`);
  const parts = base.split('.');
  if (!parts.every((part) => /^\d{1,10}$/.test(part))) return refusal('not-an-address', `${word} is not ${expected}`);
  if (parts.length !== 4)
    return refusal(
      'not-an-address',
      `${word} has ${parts.length} part${parts.length === 1 ? '' : 's'}; an address has four. Short forms mean different things to different programs`,
    );
  const padded = parts.find((part) => /^0\d/.test(part));
  if (padded !== undefined)
    return refusal(
      'not-an-address',
      `${word} has the part ${padded}: some programs read a leading zero as octal. Write plain decimal numbers`,
    );
  const large = parts.find((part) => Number(part) > 255);
  if (large !== undefined) return refusal('not-an-address', `${word} has the part ${large}; a part is at most 255`);
  if (prefix === undefined) return refusal('not-an-address', `${word} is not ${expected}`);
  return explainedPrefix(word, base, prefix, expected);
}

function explainedPrefix(word: string, base: string, prefix: string, expected: string): Refusal {
  if (!/^\d+$/.test(prefix)) return refusal('not-an-address', `/${prefix} is not a prefix length; write ${expected}`);
  const length = Number(prefix);
  if (length === 0 && /^0+$/.test(prefix))
    return refusal(
      'everything',
      `${word} is every address there is. A policy names places; a tunnel for the whole internet is not one of them`,
    );
  if (/^0\d/.test(prefix)) return refusal('not-an-address', `/${prefix} has a leading zero`, `${base}/${length}`);
  if (length > 32) return refusal('not-an-address', `/${prefix} is longer than the 32 bits of an address`);
  const first = cidrRange(`${base}/${length}`).first;
  const whole = numberToIpv4(first - (first % 2 ** (32 - length)));
  return refusal(
    'host-bits',
    `${word} has host bits set: a /${length} begins at ${whole}. Write that, or the one address as ${base}`,
    `${whole}/${length}`,
  );
}

function refusal(code: string, message: string, suggestion?: string): Refusal {
  return { ok: false, code, message, ...(suggestion === undefined ? {} : { suggestion }) };
}
