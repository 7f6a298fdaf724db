/**
 * A download that ends when it is cut, as a program of its own: `bun download.ts URL`.
 *
 * Says "running" once bytes come, and when none has come for two seconds, or the connection is closed, one line of
 * JSON: how many bytes there were, when the last one came (ms since 1970, as the lab's clock), and how it ended.
 */
import { get } from 'node:http';

const silenceMs = 2_000;
let bytes = 0;
let lastByteAt = 0;
const now = () => performance.timeOrigin + performance.now();

function end(how: string): never {
  console.log(JSON.stringify({ bytes, lastByteAt, how }));
  process.exit(0);
}

const request = get(process.argv[2] ?? '', (response) => {
  response.on('data', (chunk: Uint8Array) => {
    if (bytes === 0) console.log('running');
    bytes += chunk.length;
    lastByteAt = now();
  });
  response.on('close', () => end('closed'));
  response.on('error', (error) => end(error.message));
});
request.on('error', (error) => end(error.message));
setInterval(() => {
  if (bytes > 0 && now() - lastByteAt > silenceMs) end('silent');
}, 100);
