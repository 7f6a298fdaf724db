import { describe, expect, test } from 'bun:test';
import { opcodes, renderFrame, takeFrames } from './websocket-frame.ts';

const frame = (head: number, payload: string) =>
  Buffer.concat([Buffer.from([head, payload.length]), Buffer.from(payload)]);
const longFrame = (length: number) => {
  const head = Buffer.alloc(4);
  head.writeUInt8(0x81, 0);
  head.writeUInt8(126, 1);
  head.writeUInt16BE(length, 2);
  return Buffer.concat([head, Buffer.alloc(length, 'x')]);
};

describe('takeFrames', () => {
  test('takes whole frames, however they are cut on the way', () => {
    const stream = Buffer.concat([frame(0x81, '{"epoch":1}'), longFrame(300), frame(0x89, 'ping')]);
    for (let cut = 0; cut <= stream.length; cut++) {
      const first = takeFrames(stream.subarray(0, cut));
      const second = takeFrames(Buffer.concat([first.rest, stream.subarray(cut)]));
      const frames = [...first.frames, ...second.frames];
      expect(frames.map(({ opcode, payload }) => `${opcode} ${payload.length}`)).toEqual(['1 11', '1 300', '9 4']);
      expect(second.rest).toHaveLength(0);
    }
  });

  test.each([
    ['masked', Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0])],
    ['compressed', Buffer.from([0xc1, 0x01, 0])],
    ['endless', Buffer.from([0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0])],
  ])('refuses a frame that is %s', (_, bytes) => expect(() => takeFrames(bytes)).toThrow(RangeError));
});

test('what is sent is masked', () => {
  const sent = renderFrame(opcodes.pong, Buffer.from('hello'), Buffer.from([1, 2, 3, 4]));
  expect([...sent.subarray(0, 6)]).toEqual([0x8a, 0x85, 1, 2, 3, 4]);
  expect(
    sent
      .subarray(6)
      .map((byte, place) => byte ^ ((place % 4) + 1))
      .toString(),
  ).toBe(Buffer.from('hello').toString());
});
