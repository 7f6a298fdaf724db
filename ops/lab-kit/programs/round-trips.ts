/**
 * Pings an address as fast as the answers come, and says how long they took, as often as it is asked: `bun
 * round-trips.ts`. One process sends, waits and sends again, by the kernel's ping socket, whose group this one must be
 * in (net.ipv4.ping_group_range).
 *
 * Asked for {address, count, seconds}, whichever ends first; answers {median_us, lost}.
 */
import { dlopen, FFIType, ptr } from 'bun:ffi';
import { answerAll } from './answering.ts';

const { symbols: libc } = dlopen('libc.so.6', {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});
const AF_INET = 2;
const SOCK_DGRAM = 2;
const IPPROTO_ICMP = 1;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;

const patienceMs = 200;
const echoRequest = Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0, ...new Uint8Array(56));
const echoReply = 0;

await answerAll(({ address, count, seconds }: { address: string; count: number; seconds: number }) => {
  const socket = pingSocket(address);
  const answer = new Uint8Array(128);
  const nanoseconds: number[] = [];
  let lost = 0;
  const end = Bun.nanoseconds() + seconds * 1e9;
  while (nanoseconds.length + lost < count && Bun.nanoseconds() < end) {
    const sent = Bun.nanoseconds();
    libc.send(socket, ptr(echoRequest), echoRequest.length, 0);
    const length = Number(libc.recv(socket, ptr(answer), answer.length, 0));
    if (length >= 8 && answer[0] === echoReply) nanoseconds.push(Bun.nanoseconds() - sent);
    else lost += 1;
  }
  libc.close(socket);
  const median = nanoseconds.sort((a, b) => a - b)[nanoseconds.length >> 1];
  return { median_us: median === undefined ? null : median / 1000, lost };
});

function pingSocket(address: string): number {
  const socket = libc.socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
  const to = Uint8Array.of(AF_INET, 0, 0, 0, ...address.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0);
  const patience = BigInt64Array.of(0n, BigInt(patienceMs * 1000));
  libc.setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, ptr(patience), patience.byteLength);
  if (socket < 0 || libc.connect(socket, ptr(to), to.length) !== 0) throw new Error(`no ping socket to ${address}`);
  return socket;
}
