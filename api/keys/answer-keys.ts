import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** Under which id an answer is kept for its caller, and how it is closed to everybody else. */
export type AnswerKey = { id: string; seal(text: string): Uint8Array; open(sealed: Uint8Array): string };

const cipher = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Answers may hold what is shown once, such as a code. So the key that seals one is made (HKDF, RFC 5869) from the
 * caller's token, of which the database has only a hash, and the request's Idempotency-Key, of which it has nothing:
 * a copy of the database opens none of them, and another token finds none. `epoch` keeps an answer from before a restore,
 * whose codes are void, from coming back after it.
 */
export function answerKey(token: string, idempotencyKey: string, epoch: number): AnswerKey {
  const made = Buffer.from(hkdfSync('sha256', token, idempotencyKey, `postern kept answer ${epoch}`, 64));
  const key = made.subarray(32);
  return {
    id: made.toString('base64url', 0, 32),
    seal(text) {
      const nonce = randomBytes(nonceBytes);
      const sealing = createCipheriv(cipher, key, nonce);
      const body = Buffer.concat([sealing.update(text, 'utf8'), sealing.final()]);
      return Buffer.concat([nonce, sealing.getAuthTag(), body]);
    },
    open(sealed) {
      const opening = createDecipheriv(cipher, key, sealed.subarray(0, nonceBytes));
      opening.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
      return opening.update(sealed.subarray(nonceBytes + tagBytes), undefined, 'utf8') + opening.final('utf8');
    },
  };
}
