import { ipv4ToNumber, numberToIpv4 } from '#contract/network.ts';

/**
 * Packets as bytes, made and recognised. Each carries a token where every answer to it, and every error about it, gives
 * it back: TCP in its sequence number, the rest at the start of what it carries.
 */

/** A packet to be put on a wire. `port` and `sourcePort` are those of tcp and udp. */
export type Probe = {
  token: number;
  family: 4 | 6;
  source: string;
  destination: string;
  protocol: 'tcp' | 'udp' | 'icmp' | 'other';
  sourcePort: number;
  port: number;
  icmpType: number;
  /** `opens` is a SYN; `goes-on` an ACK with data, which acknowledges `acknowledges`. */
  tcp: 'opens' | 'goes-on';
  acknowledges: number;
};

/**
 * What of a probe was seen on a wire: the packet itself, what answered it, an ICMP error about it, or a reset. A reset
 * in midstream names no probe (token 0), but the `sequence` that the probe acknowledged.
 */
export type Sighting = {
  token: number;
  form: 'packet' | 'answer' | 'error' | 'reset';
  source: string;
  destination: string;
  port: number;
  sequence: number;
};

/** Tokens lie here, and apart, so that other traffic is not mistaken for probes. */
const firstToken = 0x5000_0000;
const lastToken = 0x50ff_ffff;
const apart = 16;

export function tokenOf(count: number): number {
  const token = firstToken + apart * count;
  if (token > lastToken) throw new RangeError(`there are not so many tokens: ${count}`);
  return token;
}

const protocols = { tcp: 6, udp: 17, icmp: 1 } as const;
/** Numbers that IANA has given to nobody. The kernel knows such a flow by its addresses and this alone. */
const unassigned = { first: 146, last: 252 } as const;
const icmpv6 = 58;
const [syn, rst, ack] = [2, 4, 16];

export function bytesOf(probe: Probe): Uint8Array {
  const { family, protocol } = probe;
  const number = protocolNumber(probe);
  const addresses = [...addressBytes(probe.source), ...addressBytes(probe.destination)];
  const payload = payloadOf(probe);
  const at = { tcp: 16, udp: 6, icmp: 2, other: undefined }[protocol];
  if (at !== undefined) {
    const pseudo = protocol === 'icmp' && family === 4 ? [] : [...addresses, ...u32(payload.length), ...u32(number)];
    payload.set(u16(checksum([...pseudo, ...payload])), at);
  }
  return Uint8Array.from([...header(family, number, addresses, payload.length), ...payload]);
}

function protocolNumber({ family, protocol, sourcePort }: Probe): number {
  if (protocol === 'other') return unassigned.first + (sourcePort % (unassigned.last - unassigned.first + 1));
  return family === 6 && protocol === 'icmp' ? icmpv6 : protocols[protocol];
}

function header(family: 4 | 6, number: number, addresses: readonly number[], length: number): number[] {
  if (family === 6) return [0x60, 0, 0, 0, ...u16(length), number, 64, ...addresses];
  const words = [0x45, 0, ...u16(20 + length), 0, 0, 0x40, 0, 64, number];
  return [...words, ...u16(checksum([...words, 0, 0, ...addresses])), ...addresses];
}

function payloadOf({ token, family, protocol, sourcePort, port, icmpType, tcp, acknowledges }: Probe): Uint8Array {
  const ports = [...u16(sourcePort), ...u16(port)];
  const filler = u32(0);
  switch (protocol) {
    case 'tcp': {
      const opens = tcp === 'opens';
      const flags = [0x50, opens ? syn : ack, ...u16(64_000), 0, 0, 0, 0];
      const sequence = opens ? token : token + 1;
      return Uint8Array.from([...ports, ...u32(sequence), ...u32(acknowledges), ...flags, ...(opens ? [] : u32(0))]);
    }
    case 'udp':
      return Uint8Array.from([...ports, ...u16(16), 0, 0, ...u32(token), ...filler]);
    case 'icmp': {
      const type = family === 6 ? 128 : icmpType;
      return Uint8Array.from([type, 0, 0, 0, ...u16(sourcePort), 0, 0, ...u32(token), ...filler, ...filler]);
    }
    case 'other':
      return Uint8Array.from([...u32(token), ...filler]);
  }
}

/** What a packet has to do with a probe; undefined: nothing. */
export function sightingOf(packet: Uint8Array): Sighting | undefined {
  const ip = readHeader(packet);
  if (ip === undefined) return undefined;
  const { protocol, payload, source, destination } = ip;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const found = (form: Sighting['form'], token: number, port = 0, sequence = 0): Sighting | undefined =>
    isToken(token) ? { token, form, source, destination, port, sequence } : undefined;
  if (protocol === 'tcp' && payload.length >= 14) return segment(view, source, destination);
  if (protocol === 'udp' && payload.length >= 12) {
    const word = view.getUint32(8);
    return found('packet', word, view.getUint16(2)) ?? found('answer', word - 1, view.getUint16(2));
  }
  if (protocol === 'other' && payload.length >= 4) return found('packet', view.getUint32(0));
  if (protocol !== 'icmp' || payload.length < 12) return undefined;
  const form = icmpForms[ip.family].get(view.getUint8(0));
  if (form !== 'error') return form === undefined ? undefined : found(form, view.getUint32(8));
  const about = sightingOf(payload.subarray(8));
  return about?.form === 'packet' ? { ...about, form: 'error', source, destination } : undefined;
}

function segment(view: DataView, source: string, destination: string): Sighting | undefined {
  const [port, sequence, acknowledged] = [view.getUint16(2), view.getUint32(4), view.getUint32(8)];
  const flags = view.getUint8(13);
  const has = (flag: number) => (flags & flag) !== 0;
  const sighting = { source, destination, port, sequence };
  if (has(ack) && (has(syn) || has(rst)) && isToken(acknowledged - 1))
    return { ...sighting, token: acknowledged - 1, form: 'answer' };
  if (has(rst)) return { ...sighting, token: isToken(sequence - 1) ? sequence - 1 : 0, form: 'reset' };
  const token = has(syn) ? sequence : sequence - 1;
  return isToken(token) ? { ...sighting, token, form: 'packet' } : undefined;
}

const icmpForms: Readonly<Record<4 | 6, ReadonlyMap<number, Sighting['form']>>> = {
  4: new Map([
    [8, 'packet'],
    [13, 'packet'],
    [0, 'answer'],
    [14, 'answer'],
    [3, 'error'],
  ]),
  6: new Map([
    [128, 'packet'],
    [129, 'answer'],
    [1, 'error'],
    [4, 'error'],
  ]),
};

function readHeader(packet: Uint8Array) {
  const version = (packet[0] ?? 0) >> 4;
  if (version !== 4 && version !== 6) return undefined;
  const family: 4 | 6 = version;
  const size = family === 4 ? ((packet[0] ?? 0) & 15) * 4 : 40;
  if (packet.length < size) return undefined;
  const number = packet[family === 4 ? 9 : 6] ?? 0;
  const isOther = unassigned.first <= number && number <= unassigned.last;
  const protocol =
    number === icmpv6 && family === 6
      ? 'icmp'
      : isOther
        ? 'other'
        : (['tcp', 'udp', 'icmp'] as const).find((name) => protocols[name] === number);
  if (protocol === undefined) return undefined;
  const [first, width] = family === 4 ? [12, 4] : [8, 16];
  const address = (at: number) => addressText(packet.subarray(at, at + width));
  return {
    family,
    protocol,
    source: address(first),
    destination: address(first + width),
    payload: packet.subarray(size),
  };
}

const isToken = (value: number) => firstToken <= value && value <= lastToken && value % apart === 0;

function addressBytes(address: string): number[] {
  if (!address.includes(':')) return u32(ipv4ToNumber(address));
  const [head = '', tail = ''] = address.split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
  const [before, after] = [words(head), words(tail)];
  return [...before, ...new Array(8 - before.length - after.length).fill(0), ...after].flatMap(u16);
}

function addressText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 4) return numberToIpv4(view.getUint32(0));
  return Array.from({ length: 8 }, (_, word) => view.getUint16(2 * word).toString(16)).join(':');
}

/** The internet checksum of RFC 1071. */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function u16(value: number): [number, number] {
  return [(value >>> 8) & 255, value & 255];
}

function u32(value: number): number[] {
  return [...u16(value >>> 16), ...u16(value & 0xffff)];
}
