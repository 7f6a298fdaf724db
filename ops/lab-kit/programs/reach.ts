/**
 * Knocks at a TCP port every 20 ms until somebody opens, as a program of its own: `bun reach.ts HOST PORT`.
 *
 * Says "knocking" at the start, and when it was let in (ms since 1970, as the lab's clock).
 */
import { connect } from 'node:net';

const [host = '', port] = process.argv.slice(2);

function knock(): void {
  const socket = connect({ host, port: Number(port) });
  const giveUp = setTimeout(() => socket.destroy(), 250);
  socket.on('connect', () => {
    console.log(`reached at ${performance.timeOrigin + performance.now()}`);
    process.exit(0);
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    clearTimeout(giveUp);
    setTimeout(knock, 20);
  });
}

console.log('knocking');
knock();
