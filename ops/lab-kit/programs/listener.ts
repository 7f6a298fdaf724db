/** A server that greets whoever comes, as a program of its own: `bun listener.ts PORT`. */
import { createServer } from 'node:net';

createServer((socket) => {
  socket.on('error', () => {});
  socket.end('SSH-2.0-lab\r\n');
}).listen(Number(process.argv[2]), '0.0.0.0', () => console.log('listening'));
