/** Gives back what it gets on each of its TCP ports, as a program of its own: `bun mirror.ts PORT...`. */
import { createServer } from 'node:net';

for (const port of process.argv.slice(2))
  createServer((socket) => void socket.on('error', () => undefined).pipe(socket)).listen(Number(port));
console.log('listening');
