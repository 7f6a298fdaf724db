import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { bech32 } from '@scure/base';
import { identityToRecipient } from 'age-encryption';

/** OWASP's numbers for scrypt. They matter for a passphrase that somebody chose; ours has 120 random bits. */
const cost = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
/** The same for everybody: the passphrase alone, on paper, has to open a backup when all else is gone. */
const salt = 'postern backup key 1';

const derive = promisify<string, string, number, typeof cost, Buffer>(scrypt);

/**
 * The key that opens backups, as age(1) writes an identity: it follows from the recovery passphrase alone, so that no
 * machine has to keep it.
 */
export async function backupIdentity(passphrase: string): Promise<string> {
  const secret = await derive(passphrase.trim(), salt, 32, cost);
  return bech32.encodeFromBytes('age-secret-key-', secret).toUpperCase();
}

/** The public half: whoever has it can make backups and open none. */
export async function backupRecipient(passphrase: string): Promise<string> {
  return identityToRecipient(await backupIdentity(passphrase));
}
