import { describe, expect, test } from 'bun:test';
import { parseWgDump } from './wg.ts';

const head = 'PRIVATE\tPUBLIC\t51820\toff';

describe('parseWgDump', () => {
  test('reads peers with and without sessions, and keeps no private key', () => {
    const dump = parseWgDump(
      `${head}\nANA\tPSK\t198.51.100.7:4500\t10.91.64.70/32,172.19.0.0/16\t1764000000\t12\t34\t25\nBEN\t(none)\t(none)\t(none)\t0\t0\t0\toff\n`,
    );
    expect(dump).toEqual({
      publicKey: 'PUBLIC',
      listenPort: 51820,
      peers: [
        {
          publicKey: 'ANA',
          endpoint: '198.51.100.7:4500',
          allowedIps: ['10.91.64.70/32', '172.19.0.0/16'],
          latestHandshake: 1764000000,
          receivedBytes: 12,
          sentBytes: 34,
          persistentKeepaliveSeconds: 25,
        },
        {
          publicKey: 'BEN',
          endpoint: undefined,
          allowedIps: [],
          latestHandshake: 0,
          receivedBytes: 0,
          sentBytes: 0,
          persistentKeepaliveSeconds: 0,
        },
      ],
    });
    expect(JSON.stringify(dump)).not.toMatch(/PRIVATE|PSK/);
  });

  test.each([
    ['nothing', ''],
    ['another program', 'Unable to access interface'],
    ['half a peer', `${head}\nANA\tPSK`],
  ])('takes %s for an error, not for an empty interface', (_, text) =>
    expect(() => parseWgDump(text)).toThrow(SyntaxError),
  );
});
