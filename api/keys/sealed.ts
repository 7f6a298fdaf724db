import { CompactEncrypt, compactDecrypt } from 'jose';
import * as v from 'valibot';
import { KeyFile } from './working-keys.ts';

/** The passphrase is random, so the count only has to make a leaked file tedious; OWASP's number for SHA-512. */
const iterations = 210_000;
const keyManagement = 'PBES2-HS512+A256KW';
const encryption = 'A256GCM';

/** A key that rests encrypted: only who has the passphrase can sign with it (JWE, RFC 7518 §4.8). */
export async function sealKey(key: KeyFile, passphrase: string): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(key)))
    .setProtectedHeader({ alg: keyManagement, enc: encryption })
    .setKeyManagementParameters({ p2c: iterations })
    .encrypt(new TextEncoder().encode(passphrase));
}

export type Unsealed = { ok: true; key: KeyFile } | { ok: false; reason: 'wrong-passphrase' };

export async function unsealKey(sealed: string, passphrase: string): Promise<Unsealed> {
  try {
    const { plaintext } = await compactDecrypt(sealed.trim(), new TextEncoder().encode(passphrase), {
      keyManagementAlgorithms: [keyManagement],
      contentEncryptionAlgorithms: [encryption],
      maxPBES2Count: iterations,
    });
    return { ok: true, key: v.parse(KeyFile, JSON.parse(new TextDecoder().decode(plaintext))) };
  } catch {
    return { ok: false, reason: 'wrong-passphrase' };
  }
}
