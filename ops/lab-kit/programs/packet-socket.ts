import { dlopen, FFIType, ptr } from 'bun:ffi';
import { readFileSync } from 'node:fs';

const { symbols: libc } = dlopen('libc.so.6', {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64_fast,
  },
  recvfrom: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i64_fast,
  },
});
const AF_PACKET = 17;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const ETH_P_ALL = 0x0003;
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const PACKET_HOST = 0;

/** packet(7): whatever passes any interface, without its link's header, before any rule has seen it. */
export class PacketSocket {
  private readonly socket: number;
  private readonly buffer = new Uint8Array(2_048);
  /** struct sockaddr_ll */
  private readonly from = new Uint8Array(20);
  private readonly fromLength = new Uint32Array(1);

  constructor() {
    this.socket = libc.socket(AF_PACKET, SOCK_DGRAM_NONBLOCK, swapped(ETH_P_ALL));
    if (this.socket < 0) throw new Error('no packet socket: needs CAP_NET_RAW');
    libc.setsockopt(this.socket, SOL_SOCKET, SO_RCVBUFFORCE, ptr(Int32Array.of(16 << 20)), 4);
  }

  /** The next packet that came in for this host; undefined: none any more. Valid until the next call. */
  receive(): Uint8Array | undefined {
    for (;;) {
      this.fromLength[0] = this.from.length;
      const { buffer, from, fromLength } = this;
      const length = libc.recvfrom(this.socket, ptr(buffer), buffer.length, 0, ptr(from), ptr(fromLength));
      if (length < 0) return undefined;
      if (this.from[10] === PACKET_HOST) return this.buffer.subarray(0, Number(length));
    }
  }

  /** Puts a packet on an interface, past this host's routes and rules. `mac` is the next host's, where links have any. */
  send(packet: Uint8Array, device: string, mac: string | undefined): void {
    const protocol = (packet[0] ?? 0) >> 4 === 6 ? ETH_P_IPV6 : ETH_P_IP;
    const hardware = mac === undefined ? [] : mac.split(':').map((byte) => Number.parseInt(byte, 16));
    const to = new Uint8Array(20);
    const view = new DataView(to.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(2, protocol);
    view.setInt32(4, Number(readFileSync(`/sys/class/net/${device}/ifindex`, 'utf8')), true);
    view.setUint8(11, hardware.length);
    to.set(hardware, 12);
    const sent = libc.sendto(this.socket, ptr(packet), packet.length, 0, ptr(to), to.length);
    if (Number(sent) !== packet.length) throw new Error(`a packet could not be sent by ${device}`);
  }
}

/** In the network's order. */
function swapped(value: number): number {
  return ((value & 255) << 8) | (value >>> 8);
}
