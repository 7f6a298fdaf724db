import type { Socket } from 'node:dgram';

/**
 * Sends a datagram to one of many. Where an earlier one was refused by its receiver, the kernel tells of it when the next is
 * sent, to whomever, and does not send that; so it is sent again.
 */
export function sendTo(socket: Socket, message: string | Buffer, port: number, address: string): void {
  socket.send(message, port, address, (error) => {
    if (error) socket.send(message, port, address, () => undefined);
  });
}
