/**
 * One TCP connection that says something every 20 ms and wants it back, as a program of its own:
 * `bun conversation.ts HOST PORT`. It ends at SIGTERM or when the connection does, with one line of JSON; `endedAt` in ms
 * since 1970, as the lab's clock, and `silentMs` since it heard something last.
 */
import { connect } from 'node:net';

let sent = 0;
let heard = 0;
let lastHeardAt = performance.now();
let longestGapMs = 0;

const socket = connect({ host: process.argv[2] ?? '', port: Number(process.argv[3]), noDelay: true });
socket.setEncoding('utf8');

function end(how: string): never {
  const endedAt = performance.timeOrigin + performance.now();
  const silentMs = Math.round(performance.now() - lastHeardAt);
  console.log(JSON.stringify({ sent, heard, longestGapMs: Math.round(longestGapMs), how, endedAt, silentMs }));
  process.exit(0);
}

socket.on('connect', () => {
  console.log('running');
  lastHeardAt = performance.now();
  setInterval(() => {
    socket.write(`${sent}\n`);
    sent += 1;
  }, 20);
});
socket.on('data', (text: string) => {
  heard += text.split('\n').length - 1;
  longestGapMs = Math.max(longestGapMs, performance.now() - lastHeardAt);
  lastHeardAt = performance.now();
});
socket.on('error', (error) => end(error.message));
socket.on('close', () => end('closed'));
process.on('SIGTERM', () => end('unbroken'));
