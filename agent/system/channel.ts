import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import * as v from 'valibot';
import { RevisionNotice } from '#contract/agent.ts';
import { opcodes, renderFrame, takeFrames } from '../formats/websocket-frame.ts';
import { MasterUnreachable, requestOn } from './pinned.ts';

const pingEveryMs = 5_000;
/** Two pings without an answer: a master whose machine is gone sends no word of farewell. */
const longestSilenceMs = 12_500;

export type Channel = { close(): void; closed: Promise<string> };

/**
 * Opens the WebSocket over which the master says that there is something newer. The token travels in a header.
 *
 * @throws MasterUnreachable when the master does not agree to it.
 */
export function openChannel(
  socket: TLSSocket,
  url: URL,
  token: string,
  onNotice: (notice: RevisionNotice) => void,
): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const request = requestOn(socket, url, {
      method: 'GET',
      path: '/v1/agent/channel',
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        authorization: `Bearer ${token}`,
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
      },
    });
    const fail = (reason: string, cause?: unknown) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new MasterUnreachable(`the channel to the master: ${reason}`, { cause }));
    };
    const timer = setTimeout(() => fail('no answer within 5 s'), 5_000);
    request.on('error', (cause) => fail(cause.message, cause));
    request.on('response', (response) => fail(`refused with status ${response.statusCode}`));
    request.on('upgrade', (_response, upgraded, head: Buffer) => {
      clearTimeout(timer);
      resolve(listen(upgraded, head, onNotice));
    });
    request.end();
  });
}

function listen(socket: Socket, head: Buffer, onNotice: (notice: RevisionNotice) => void): Channel {
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  let rest = Buffer.alloc(0);
  let heardAt = performance.now();

  const send = (opcode: number, payload: Buffer) => {
    if (socket.writable) socket.write(renderFrame(opcode, payload, randomBytes(4)));
  };
  const end = (reason: string) => {
    clearInterval(heartbeat);
    socket.destroy();
    resolve(reason);
  };
  const heartbeat = setInterval(() => {
    if (performance.now() - heardAt > longestSilenceMs) end('the master fell silent');
    else send(opcodes.ping, Buffer.alloc(0));
  }, pingEveryMs);

  const read = (part: Buffer) => {
    heardAt = performance.now();
    try {
      const taken = takeFrames(Buffer.concat([rest, part]));
      rest = Buffer.from(taken.rest);
      for (const frame of taken.frames) {
        if (frame.opcode === opcodes.text && frame.isFinal)
          onNotice(v.parse(RevisionNotice, JSON.parse(frame.payload.toString('utf8'))));
        else if (frame.opcode === opcodes.ping) send(opcodes.pong, frame.payload.subarray(0, 125));
        else if (frame.opcode === opcodes.close) end('the master closed it');
      }
    } catch (error) {
      end(`it sent what no master sends: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  socket.on('data', read);
  socket.on('error', (error) => end(error.message));
  socket.on('close', () => end('the connection ended'));
  if (head.length > 0) read(head);
  return { close: () => end('closed here'), closed };
}
