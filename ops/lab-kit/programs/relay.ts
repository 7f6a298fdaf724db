/**
 * Takes every packet that is routed to a TUN device and gives it back to the kernel later, or never, as a program of its
 * own: `bun relay.ts DEVICE DELAY_MS JITTER_MS LOSS SEED`.
 */
import { dlopen, FFIType, ptr } from 'bun:ffi';
import { openSync, read, writeSync } from 'node:fs';

const [device = 'relay0', delay, jitter, loss, seed] = process.argv.slice(2);
const [delayMs, jitterMs, lostPart] = [Number(delay), Number(jitter), Number(loss)];

const setInterface = 0x4004_54ca;
const tunWithoutHeader = 0x1001;
const longestPacket = 65_536;

function openTun(name: string): number {
  const { symbols } = dlopen('libc.so.6', {
    ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  });
  const descriptor = openSync('/dev/net/tun', 'r+');
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  new DataView(request.buffer).setUint16(16, tunWithoutHeader, true);
  if (symbols.ioctl(descriptor, setInterface, ptr(request)) !== 0) throw new Error(`cannot make ${name}`);
  return descriptor;
}

/** mulberry32: small, and the same everywhere. */
function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const descriptor = openTun(device);
const random = randomFrom(Number(seed));
const due: { at: number; packet: Uint8Array }[] = [];
let lastDue = 0;

function releaseAt(time: number): void {
  setTimeout(release, Math.max(0, time - performance.now()));
}

function release(): void {
  const now = performance.now();
  for (let first = due[0]; first !== undefined && first.at <= now + 0.5; first = due[0]) {
    due.shift();
    try {
      writeSync(descriptor, first.packet);
    } catch {
      // The device is down at the moment: the packet is lost, as on any cable.
    }
  }
  if (due[0] !== undefined) releaseAt(due[0].at);
}

function accept(packet: Uint8Array): void {
  if (random() < lostPart) return;
  const at = performance.now() + delayMs + (random() * 2 - 1) * jitterMs;
  lastDue = Math.max(lastDue, at);
  due.push({ at: lastDue, packet });
  if (due.length === 1) releaseAt(lastDue);
}

function next(): void {
  const buffer = new Uint8Array(longestPacket);
  read(descriptor, buffer, 0, longestPacket, null, (error, length) => {
    if (error === null) accept(buffer.slice(0, length));
    else if (error.code !== 'EIO' && error.code !== 'EAGAIN') throw error;
    if (error === null) next();
    else setTimeout(next, 10);
  });
}

next();
console.log('ready');
