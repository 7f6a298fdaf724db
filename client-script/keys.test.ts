import { expect, test } from 'bun:test';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as v from 'valibot';
import { PublicKey } from '#contract/key.ts';
import { CredentialKey, makeCredentialKey, makeWireguardKey, wireguardPublicKey } from './keys.ts';

const hasWg = existsSync('/usr/bin/wg');

test('a WireGuard key is clamped and its public half is a valid one', () => {
  for (let i = 0; i < 50; i += 1) {
    const { privateKey, publicKey } = makeWireguardKey();
    const bytes = Buffer.from(privateKey, 'base64');
    expect([(bytes[0] ?? 0) & 7, (bytes[31] ?? 0) & 192]).toEqual([0, 64]);
    expect(v.is(PublicKey, publicKey)).toBe(true);
    expect(wireguardPublicKey(privateKey)).toBe(publicKey);
  }
});

test.skipIf(!hasWg)('it is what wg pubkey makes of it (needs wireguard-tools)', () => {
  const { privateKey, publicKey } = makeWireguardKey();
  expect(execFileSync('wg', ['pubkey'], { input: privateKey, encoding: 'utf8' }).trim()).toBe(publicKey);
});

test.each([
  ['', 'empty'],
  ['AAAA', 'short'],
  ['!'.repeat(44), 'no base64'],
  [`${'A'.repeat(43)}=\n`, 'with a line end'],
])('refuses a private key that is %p (%s)', (text) => expect(() => wireguardPublicKey(text)).toThrow(TypeError));

test('a credential key is a private Ed25519 JWK', () => expect(v.is(CredentialKey, makeCredentialKey())).toBe(true));
