import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** Closes what the database keeps for use, such as the secrets of webhooks, so that a copy of it opens none of them. */
export type SecretBox = {
  /** `purpose` belongs to what is sealed: in another place it does not open. */
  seal(text: string, purpose: string): Uint8Array;
  /** @returns undefined for what was sealed with another key or for another purpose, or was changed. */
  open(sealed: Uint8Array, purpose: string): string | undefined;
};

const cipher = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/** The box with this key of 32 bytes. */
export function secretBoxOf(key: Uint8Array): SecretBox {
  return {
    seal(text, purpose) {
      const nonce = randomBytes(nonceBytes);
      const sealing = createCipheriv(cipher, key, nonce).setAAD(Buffer.from(purpose));
      const body = Buffer.concat([sealing.update(text, 'utf8'), sealing.final()]);
      return Buffer.concat([nonce, sealing.getAuthTag(), body]);
    },
    open(sealed, purpose) {
      try {
        const opening = createDecipheriv(cipher, key, sealed.subarray(0, nonceBytes)).setAAD(Buffer.from(purpose));
        opening.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
        return opening.update(sealed.subarray(nonceBytes + tagBytes), undefined, 'utf8') + opening.final('utf8');
      } catch {
        return undefined;
      }
    },
  };
}
