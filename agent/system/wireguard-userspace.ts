import { connect, type Socket } from 'node:net';
import { checkSetAnswer, getRequest, parseGetAnswer, renderConfigure, renderPeerSteps } from '../formats/uapi.ts';
import type { WireGuardDriver } from './wireguard.ts';

const timeLimitMs = 5_000;

/** wireguard-go could not be asked: it is gone, or it does not answer. */
export class UserspaceUnreachable extends Error {
  override readonly name = 'UserspaceUnreachable';
  readonly code = 'wireguard-unreachable';

  constructor(socket: string, reason: string, cause?: unknown) {
    super(`wireguard-go at ${socket} ${reason}`, { cause });
  }
}

/** WireGuard as a program of its own, by its UNIX socket: a change costs no process start. */
export function userspaceDriver(socket: string, readKey: () => Promise<string>): WireGuardDriver {
  return {
    observe: async () => parseGetAnswer(await exchange(socket, getRequest)),
    configure: async (listenPort) =>
      checkSetAnswer(await exchange(socket, renderConfigure(await readKey(), listenPort))),
    applyPeers: async (steps) => checkSetAnswer(await exchange(socket, renderPeerSteps(steps))),
  };
}

/** Whether a process listens on the socket; the file alone may be left over from one that was killed. */
export function answersOn(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.on('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.on('error', () => resolve(false));
  });
}

/** Notices the end of the process behind a socket by a connection that says nothing and is held open. */
export function watchSocket(socket: string): { begin(): void; onEnd(callback: () => void): void } {
  let connection: Socket | undefined;
  let onEnd: () => void = () => undefined;
  return {
    begin() {
      if (connection !== undefined) return;
      connection = connect(socket);
      connection.unref();
      connection.on('error', () => undefined);
      connection.on('close', () => {
        connection = undefined;
        onEnd();
      });
    },
    onEnd(callback) {
      onEnd = callback;
    },
  };
}

/** Sends one request and gives all of the answer, which an empty line ends. */
function exchange(socket: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket, () => connection.write(request));
    const parts: Buffer[] = [];
    const timer = setTimeout(() => {
      connection.destroy();
      reject(new UserspaceUnreachable(socket, `did not answer within ${timeLimitMs / 1000} s`));
    }, timeLimitMs);
    const finish = (action: () => void) => {
      clearTimeout(timer);
      connection.destroy();
      action();
    };
    connection.on('data', (part: Buffer) => {
      parts.push(part);
      if (!endsWithEmptyLine(parts)) return;
      finish(() => resolve(Buffer.concat(parts).toString('utf8')));
    });
    connection.on('error', (cause) =>
      finish(() => reject(new UserspaceUnreachable(socket, 'cannot be reached', cause))),
    );
    connection.on('close', () => finish(() => reject(new UserspaceUnreachable(socket, 'hung up in mid-answer'))));
  });
}

function endsWithEmptyLine(parts: readonly Buffer[]): boolean {
  const tail = Buffer.concat(parts.slice(-2)).subarray(-2);
  return tail.toString('latin1') === '\n\n';
}
