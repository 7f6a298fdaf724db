import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { StateError } from './errors.ts';
import { writeDurably } from './files.ts';

const keyBytes = 32;

/**
 * The key in `path` that closes what the database keeps for use. It is made there when it is missing: then nothing that
 * was closed before opens, and whoever needs it says so.
 *
 * @throws StateError when the file is no key.
 */
export function secretKey(path: string): Uint8Array {
  if (!existsSync(path)) writeDurably(path, `${randomBytes(keyBytes).toString('base64url')}\n`);
  const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url');
  if (key.length !== keyBytes)
    throw new StateError('damaged', `${path} is damaged: it is not a key. Put back a backup.`);
  return key;
}
