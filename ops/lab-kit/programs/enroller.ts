/**
 * Enrols devices with all its strength: `bun enroller.ts`, one JSON object on stdin, one on stdout at the end.
 *
 * It writes and reads HTTP by hand: beside a master on the same two cores, whatever the client computes is taken from
 * what is measured. Each connection comes from an address of its own, as devices do.
 */
import { connect, type TLSSocket } from 'node:tls';

/** `requests` are redemptions, without a token; each answer is confirmed by the same connection. */
type Work = { url: string; firstAddress: number; connections: number; requests: readonly Record<string, string>[] };

export type Enrolled = { milliseconds: number; latencies: number[]; failures: string[] };

const work: Work = JSON.parse(await Bun.stdin.text());
const { hostname, port } = new URL(work.url);
const bodies = work.requests.map((request) => JSON.stringify(request));
const latencies: number[] = [];
const failures: string[] = [];
let next = 0;

const sockets = await Promise.all(Array.from({ length: work.connections }, (_, i) => open(work.firstAddress + i)));
const started = performance.now();
await Promise.all(sockets.map(drive));
const milliseconds = performance.now() - started;
console.log(JSON.stringify({ milliseconds, latencies, failures } satisfies Enrolled));
process.exit();

function open(index: number): Promise<TLSSocket> {
  const localAddress = `127.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  return new Promise((resolve, reject) => {
    // Passed on to net.connect, which the types do not say.
    const options = { host: hostname, port: Number(port), localAddress, rejectUnauthorized: false };
    const socket = connect(options, () => resolve(socket));
    socket.once('error', reject);
  });
}

async function drive(socket: TLSSocket): Promise<void> {
  const exchange = exchanger(socket);
  for (;;) {
    const index = next++;
    const body = bodies[index];
    if (body === undefined) return;
    const began = performance.now();
    const lease = await exchange(`POST /v1/enrolments HTTP/1.1`, body, '');
    if (lease.status !== 201) {
      failures.push(`${lease.status} ${lease.text}`);
      continue;
    }
    const { id, token, address } = JSON.parse(lease.text);
    const confirmation = JSON.stringify({ publicKey: work.requests[index]?.publicKey, address });
    const done = await exchange(
      `PUT /v1/enrolments/${id} HTTP/1.1`,
      confirmation,
      `Authorization: Bearer ${token}\r\n`,
    );
    if (done.status === 200) latencies.push(performance.now() - began);
    else failures.push(`${done.status} ${done.text}`);
  }
}

type Answer = { status: number; text: string };

/** One request after the other; an answer is complete when its Content-Length is there. */
function exchanger(socket: TLSSocket): (line: string, body: string, headers: string) => Promise<Answer> {
  let received = '';
  let waiting: PromiseWithResolvers<Answer> | undefined;
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received += chunk;
    const end = received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(received.slice(0, end + 2))?.[1]);
    if (received.length < end + 4 + length) return;
    const answer = { status: Number(received.slice(9, 12)), text: received.slice(end + 4, end + 4 + length) };
    received = received.slice(end + 4 + length);
    waiting?.resolve(answer);
  });
  socket.on('close', () => waiting?.resolve({ status: 0, text: 'the connection was closed' }));
  return (line, body, headers) => {
    waiting = Promise.withResolvers();
    socket.write(
      `${line}\r\nHost: ${hostname}\r\n${headers}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    return waiting.promise;
  };
}
