/** As much of RFC 6455 as it takes to listen to short notices: the connection itself is ours, pinned. */
export type Frame = { opcode: number; isFinal: boolean; payload: Buffer };

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A notice is some forty bytes. Whoever sends more is not our master. */
const maxPayloadBytes = 65_536;

/**
 * Takes whole frames off the front of what has arrived; `rest` is the beginning of one still under way.
 *
 * @throws RangeError for a frame that is masked, compressed or too long: a server sends none.
 */
export function takeFrames(arrived: Buffer): { frames: readonly Frame[]; rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  for (;;) {
    const frame = takeFrame(arrived.subarray(at));
    if (frame === undefined) return { frames, rest: arrived.subarray(at) };
    frames.push(frame.frame);
    at += frame.length;
  }
}

function takeFrame(bytes: Buffer): { frame: Frame; length: number } | undefined {
  if (bytes.length < 2) return undefined;
  const head = bytes.readUInt8(0);
  const short = bytes.readUInt8(1);
  if ((head & 0x70) !== 0 || (short & 0x80) !== 0) throw new RangeError('a WebSocket frame that no server may send');
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const start = 2 + extended;
  if (bytes.length < start) return undefined;
  const length = extended === 0 ? short : extended === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (length > maxPayloadBytes) throw new RangeError(`a WebSocket frame of ${length} bytes is too long for a notice`);
  if (bytes.length < start + length) return undefined;
  return {
    frame: { opcode: head & 0x0f, isFinal: (head & 0x80) !== 0, payload: bytes.subarray(start, start + length) },
    length: start + length,
  };
}

/** A whole control or text frame; clients mask what they send. Payloads of up to 125 bytes. */
export function renderFrame(opcode: number, payload: Buffer, mask: Buffer): Buffer {
  const masked = Buffer.from(payload.map((byte, place) => byte ^ (mask[place % 4] ?? 0)));
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, masked]);
}
