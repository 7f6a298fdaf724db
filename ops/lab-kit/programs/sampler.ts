/**
 * Asks a service again and again, each time by a connection of its own, whatever became of those before:
 * `bun sampler.ts URL INTERVAL_MS PATIENCE_MS`. `https` names are looked up in /etc/hosts and believed whatever their
 * certificate says: what is measured is time.
 *
 * Asked for {from, to}, in ms since 1970: the longest time without an answer between these moments, and what it counted.
 * A silence that is not over at `to` counts until then, as `open`.
 */
import { connect } from 'node:net';
import { connect as connectSafely } from 'node:tls';
import { longestSilence, type Span } from '../silence.ts';
import { answerAll } from './answering.ts';

const [url = 'http://127.0.0.1/', interval, patience] = process.argv.slice(2);
const { protocol, hostname, port, pathname } = new URL(url);
const isSafe = protocol === 'https:';
const target = { host: hostname, port: Number(port || (isSafe ? 443 : 80)) };
const patienceMs = Number(patience);
const words = `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`;
const keepMs = 10 * 60_000;

/** Moments of success, and beginnings of those that failed, in the order in which they were known. */
const answered: number[] = [];
const failed: number[] = [];
const now = () => performance.timeOrigin + performance.now();

function sample(): void {
  const startedAt = now();
  const socket = isSafe
    ? connectSafely({ ...target, servername: hostname, rejectUnauthorized: false }, () => socket.write(words))
    : connect(target, () => socket.write(words));
  let isDone = false;
  const finish = (isAnswer: boolean) => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    if (isAnswer) answered.push(now());
    else failed.push(startedAt);
    socket.destroy();
  };
  const timer = setTimeout(() => finish(false), patienceMs);
  socket.once('data', (bytes: Buffer) => finish(bytes.toString('latin1', 0, 12).endsWith(' 200')));
  socket.once('error', () => finish(false));
  socket.once('close', () => finish(false));
}

function forget(moments: number[]): void {
  const before = now() - keepMs;
  const first = moments.findIndex((moment) => moment >= before);
  moments.splice(0, first === -1 ? moments.length : first);
}

setInterval(sample, Number(interval));
setInterval(() => {
  forget(answered);
  forget(failed);
}, 60_000);
await answerAll((span: Span) => longestSilence(answered, failed, span));
process.exit(0);
