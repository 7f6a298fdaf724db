/**
 * Listens on a port, TCP and UDP, as a program of its own: `bun echo.ts PORT`. A datagram comes back with its first
 * number one higher, so that it can be told from what was sent; a connection is held.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const port = Number(process.argv[2]);
const udp = createSocket('udp4', (message, { address, port: from }) => {
  if (message.length < 4) return;
  message.writeUInt32BE((message.readUInt32BE(0) + 1) >>> 0, 0);
  udp.send(message, from, address);
});
udp.bind(port, '0.0.0.0', () => {
  createServer((socket) => socket.on('error', () => {}).resume()).listen(port, '0.0.0.0', () =>
    console.log('listening'),
  );
});
