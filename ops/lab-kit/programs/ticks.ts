/**
 * A stream of numbered UDP packets, as two programs:
 *
 * `bun ticks.ts send HOST PORT=RATE...` sends to each port so many packets a second until SIGTERM, then says in one line
 * of JSON how many it sent to each. `bun ticks.ts hear PORT...` listens until SIGTERM and then says, for each port, the
 * moments at which the packets that arrived had been sent (ms since 1970, as the lab's clock).
 */
import { createSocket } from 'node:dgram';

const [mode, ...words] = process.argv.slice(2);
const burst = 5;
const now = () => performance.timeOrigin + performance.now();

function end(said: unknown): void {
  process.on('SIGTERM', () => {
    console.log(JSON.stringify(said));
    process.exit(0);
  });
}

if (mode === 'send') {
  const [host = '', ...streams] = words;
  const sent: Record<string, number> = {};
  end(sent);
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  const credit = new Map<string, number>();
  let last = performance.now();
  setInterval(() => {
    const passedMs = performance.now() - last;
    last += passedMs;
    for (const stream of streams) {
      const [port = '', rate] = stream.split('=');
      // What a busy machine made late is left out: a burst would overflow queues that have nothing to do with the firewall.
      let due = Math.min(burst, (credit.get(port) ?? 0) + (passedMs / 1000) * Number(rate));
      for (; due >= 1; due -= 1) {
        sent[port] = (sent[port] ?? 0) + 1;
        socket.send(`${sent[port]} ${now()}`, Number(port), host, () => undefined);
      }
      credit.set(port, due);
    }
  }, 1);
} else {
  const heard: Record<string, number[]> = {};
  end(heard);
  for (const port of words) {
    const moments: number[] = [];
    heard[port] = moments;
    const socket = createSocket({ type: 'udp4', recvBufferSize: 8 * 1024 * 1024 });
    socket.on('message', (message) => void moments.push(Number(message.toString().split(' ')[1])));
    socket.bind(Number(port));
  }
}
console.log('running');
