/**
 * A resolver of the internet's: `bun resolver.ts ADDRESS`. It prints each name that it is asked for, on a line of its own,
 * and has the same address for all.
 */
import { createSocket } from 'node:dgram';

const everywhere = [203, 0, 113, 80];
const socket = createSocket('udp4');
socket.on('message', (question, from) => {
  const labels: string[] = [];
  let at = 12;
  while (question[at] !== undefined && question[at] !== 0) {
    const length = question[at] ?? 0;
    labels.push(question.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  console.log(`asked ${labels.join('.').toLowerCase()}`);
  const isAddress = question.readUInt16BE(at + 1) === 1;
  const record = isAddress ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...everywhere] : [];
  const answer = Buffer.concat([question.subarray(0, at + 5), Buffer.from(record)]);
  answer.writeUInt16BE(0x8180, 2);
  answer.writeUInt16BE(isAddress ? 1 : 0, 6);
  answer.writeUInt32BE(0, 8);
  socket.send(answer, from.port, from.address);
});
socket.bind(53, process.argv[2], () => console.log('listening'));
