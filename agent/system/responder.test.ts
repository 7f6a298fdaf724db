import { describe, expect, test } from 'bun:test';
import { createSocket } from 'node:dgram';
import { agentPort, encodeProbe, probeBytes } from '#contract/probe.ts';
import { type Known, openResponder, probeAnswer } from './responder.ts';

const known: Known = {
  node: 'n1',
  version: { epoch: 1, revision: 9 },
  devices: [],
  bundles: [],
  trust: { version: 3, jws: 'list' },
  standing: { healthy: true },
  nodes: [],
};
const asker = { publicKey: 'ANA', bundle: { publicKey: 'ANA', revision: 4, bundle: 'jws' } };
const answer = (message: string) => probeAnswer(Buffer.from(message), known, asker)?.toString();

describe('probeAnswer', () => {
  test('tells the node, its version and what the asker can fetch here', () =>
    expect(JSON.parse(answer(encodeProbe('0123456789abcdef')) ?? '')).toEqual({
      nonce: '0123456789abcdef',
      node: 'n1',
      epoch: 1,
      revision: 9,
      bundleRevision: 4,
      trustVersion: 3,
      healthy: true,
    }));

  test('tells how the node stands, and fewer networks rather than more bytes than were asked', () => {
    const networks = Array.from({ length: 20 }, (_, number) => `a-network-with-a-long-name-${number}`);
    const standing = { healthy: false, vrrp: 'MASTER', vip: true, sees: 'n2', priority: 100, draining: true } as const;
    const text = probeAnswer(
      Buffer.from(encodeProbe('0123456789abcdef')),
      { ...known, standing: { ...standing, unreachable: networks } },
      asker,
    );
    expect(text?.length).toBeLessThanOrEqual(probeBytes);
    const { unreachable, ...rest } = JSON.parse(text?.toString() ?? '');
    expect(rest).toMatchObject(standing);
    expect(unreachable.length).toBeGreaterThan(3);
    expect(networks.slice(0, unreachable.length)).toEqual(unreachable);
  });

  test('a device whose bundle is not here has revision 0', () =>
    expect(
      probeAnswer(Buffer.from(encodeProbe('0123456789abcdef')), known, { ...asker, bundle: undefined })?.toString(),
    ).toContain('"bundleRevision":0'));

  test.each([
    ['nothing', ''],
    ['another protocol', '\x01\x02\x03'],
    ['a hint', '{"hint":"probe"}'],
    ['a short question that would get a longer answer', '{"nonce":"0123456789abcdef"}'],
    ['a nonce of another form', JSON.stringify({ nonce: 'x'.repeat(16), pad: ' '.repeat(500) })],
    ['more than a probe', JSON.stringify({ nonce: '0123456789abcdef', pad: ' '.repeat(4 * probeBytes) })],
  ])('%s is not answered', (_, message) => expect(answer(message)).toBeUndefined());
});

test('a device is announced when it first asks, and not again while it goes on', async () => {
  const [node, device] = ['127.0.0.51', '127.0.0.52'];
  let arrivals = 0;
  const responder = openResponder({
    log: (line) => expect(line).toBe(''),
    onArrival: () => {
      arrivals += 1;
    },
  });
  responder.update({ ...known, devices: [{ address: device, publicKey: 'ANA' }] });
  await responder.listen(node);
  const ask = async (from: string) => {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind({ address: from }, resolve));
    const answered = new Promise((resolve) => socket.once('message', resolve));
    socket.send(encodeProbe('0123456789abcdef'), agentPort, node);
    await Promise.race([answered, Bun.sleep(from === device ? 2_000 : 100)]);
    socket.close();
  };
  await ask('127.0.0.53');
  expect(arrivals).toBe(0);
  await ask(device);
  await ask(device);
  expect(arrivals).toBe(1);
  responder.close();
});
