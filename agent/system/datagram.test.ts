import { expect, test } from 'bun:test';
import { createSocket, type Socket } from 'node:dgram';
import { until } from '../fixture/hosts.ts';
import { sendTo } from './datagram.ts';

test('one who is gone keeps nothing from another', async () => {
  const bind = (socket: Socket) =>
    new Promise<number>((resolve) => socket.bind({ address: '127.0.0.1' }, () => resolve(socket.address().port)));
  const [sender, receiver, gone] = [createSocket('udp4'), createSocket('udp4'), createSocket('udp4')];
  const heard: string[] = [];
  receiver.on('message', (message) => heard.push(message.toString()));
  sender.on('error', () => undefined);
  await bind(sender);
  const here = await bind(receiver);
  const nowhere = await bind(gone);
  gone.close();
  for (let round = 0; round < 10; round += 1) {
    sendTo(sender, 'lost', nowhere, '127.0.0.1');
    sendTo(sender, `round ${round}`, here, '127.0.0.1');
    await Bun.sleep(5);
  }
  await until('all have come', () => heard.length === 10);
  expect(heard.at(-1)).toBe('round 9');
  for (const socket of [sender, receiver]) socket.close();
});
