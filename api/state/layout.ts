import { join } from 'node:path';

/** Where the master keeps what, below the node's state directory. */
export function masterPaths(stateDir: string, folder = 'master') {
  const root = join(stateDir, folder);
  return {
    root,
    database: join(root, 'postern.db'),
    servingLock: join(root, 'serving.lock'),
    keys: join(root, 'keys'),
    key: (use: string) => join(root, 'keys', `${use}.jwk.json`),
    sealedKey: (use: string) => join(root, 'keys', `${use}.jwe`),
    secretsKey: join(root, 'keys', 'secrets.key'),
    trust: join(root, 'trust.jws'),
    tls: join(root, 'tls'),
    certificate: join(root, 'tls', 'cert.pem'),
    tlsKey: join(root, 'tls', 'key.pem'),
    acmeSettings: join(root, 'acme.json'),
    acmeAccount: join(root, 'keys', 'acme-account.pem'),
    /** Public: what backups are encrypted to. */
    backupRecipient: join(root, 'backup-recipient.txt'),
    releases: join(root, 'releases'),
    manifest: join(root, 'releases', 'manifest.jws'),
  };
}

export type MasterPaths = ReturnType<typeof masterPaths>;
