import { describe, expect, test } from 'bun:test';
import { checkSetAnswer, parseGetAnswer, renderConfigure, renderPeerSteps, UapiError } from './uapi.ts';
import { generatePrivateKey, publicKeyOf } from './wireguard-key.ts';

const hex = (base64: string) => Buffer.from(base64, 'base64').toString('hex');
const ana = publicKeyOf(generatePrivateKey());
const ben = publicKeyOf(generatePrivateKey());

describe('parseGetAnswer', () => {
  test('reads peers with and without sessions, and keeps no private key', () => {
    const privateKey = generatePrivateKey();
    const answer = `private_key=${hex(privateKey)}
listen_port=51820
public_key=${hex(ana)}
preshared_key=${'0'.repeat(64)}
protocol_version=1
endpoint=[2001:db8::1]:4500
last_handshake_time_sec=1764000000
last_handshake_time_nsec=12
tx_bytes=34
rx_bytes=12
persistent_keepalive_interval=25
allowed_ip=10.91.1.1/32
allowed_ip=172.19.0.0/16
public_key=${hex(ben)}
last_handshake_time_sec=0
tx_bytes=0
rx_bytes=0
errno=0

`;
    const seen = parseGetAnswer(answer);
    expect(seen).toEqual({
      publicKey: publicKeyOf(privateKey),
      listenPort: 51820,
      peers: [
        {
          publicKey: ana,
          endpoint: '[2001:db8::1]:4500',
          allowedIps: ['10.91.1.1/32', '172.19.0.0/16'],
          latestHandshake: 1764000000,
          receivedBytes: 12,
          sentBytes: 34,
          persistentKeepaliveSeconds: 25,
        },
        {
          publicKey: ben,
          endpoint: undefined,
          allowedIps: [],
          latestHandshake: 0,
          receivedBytes: 0,
          sentBytes: 0,
          persistentKeepaliveSeconds: 0,
        },
      ],
    });
    expect(JSON.stringify(seen)).not.toContain(privateKey);
  });

  test.each([
    ['nothing', ''],
    ['a refusal', 'errno=-13\n\n'],
  ])('takes %s for an error, not for an empty interface', (_, text) =>
    expect(() => parseGetAnswer(text)).toThrow(UapiError),
  );
});

test('a refused change is an error', () => {
  expect(() => checkSetAnswer('errno=-22\n\n')).toThrow('errno -22');
  expect(() => checkSetAnswer('errno=0\n\n')).not.toThrow();
});

test('changes are lines in hex that end with an empty one', () => {
  const steps = [
    { kind: 'remove-peer', on: 'wg0', publicKey: ben },
    { kind: 'set-peer', on: 'wg0', publicKey: ana, allowedIps: ['10.91.1.1/32'] },
  ] as const;
  expect(renderPeerSteps(steps)).toBe(
    `set=1\npublic_key=${hex(ben)}\nremove=true\npublic_key=${hex(ana)}\nreplace_allowed_ips=true\nallowed_ip=10.91.1.1/32\n\n`,
  );
  const privateKey = generatePrivateKey();
  expect(renderConfigure(privateKey, 51820)).toBe(`set=1\nprivate_key=${hex(privateKey)}\nlisten_port=51820\n\n`);
});
