import { expect, test } from 'bun:test';
import { generatePrivateKey, publicKeyOf } from './wireguard-key.ts';

test('a key is clamped, as wg shows it', () => {
  for (let i = 0; i < 50; i++) {
    const bytes = Buffer.from(generatePrivateKey(), 'base64');
    expect((bytes[0] ?? 0) & 7).toBe(0);
    expect((bytes[31] ?? 0) & 0xc0).toBe(0x40);
  }
});

test.skipIf(Bun.which('wg') === null)('the public key is the one that wg(8) makes of it', async () => {
  for (let i = 0; i < 5; i++) {
    const privateKey = generatePrivateKey();
    const wg = Bun.spawn(['wg', 'pubkey'], { stdin: Buffer.from(privateKey), stdout: 'pipe' });
    expect(publicKeyOf(privateKey)).toBe((await wg.stdout.text()).trim());
  }
});

test.each([
  ['', 0],
  ['AAAA', 3],
])('%j is no key', (text, length) => expect(() => publicKeyOf(text)).toThrow(`this one ${length}`));
