/**
 * Opens a WebSocket and speaks on it: `bun socket.ts URL AUTHORITY_FILE`. Prints how long its first word took to come
 * back, in ms; ends with 1 when none does.
 */
import { readFileSync } from 'node:fs';

const [url = '', authority = ''] = process.argv.slice(2);
const start = performance.now();
const options = { tls: { ca: readFileSync(authority, 'utf8') } };
const socket = new WebSocket(url, options as unknown as string[]);
setTimeout(() => process.exit(1), 10_000);
socket.onopen = () => socket.send('is anybody there?');
socket.onerror = () => process.exit(1);
socket.onmessage = ({ data }) => {
  console.log(data === 'is anybody there?' ? Math.round(performance.now() - start) : 'other words');
  process.exit(data === 'is anybody there?' ? 0 : 1);
};
