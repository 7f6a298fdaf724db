import { statSync } from 'node:fs';
import { type Credentials, loadCredentials } from './credentials.ts';
import { masterPaths } from './layout.ts';

export type LiveCredentials = {
  /** What is in force. Its properties change when the files do: read them when they are needed. */
  readonly current: Credentials;
  /**
   * Looks whether somebody renewed keys or certificate, and takes them when they belong together.
   *
   * @throws StateError when they do not; what was in force stays.
   */
  refresh(): Promise<{ keys: boolean; tls: boolean }>;
};

/** Follows the files, so that a renewal needs no restart. Both end with one rename, of the list or of the certificate. */
export function liveCredentials(stateDir: string, loaded: Credentials): LiveCredentials {
  const paths = masterPaths(stateDir);
  const stamp = () => [paths.trust, paths.certificate].map(stampOf).join(' ');
  let inForce = loaded;
  let seen = stamp();
  return {
    current: {
      keys: {
        get tokens() {
          return inForce.keys.tokens;
        },
        get snapshots() {
          return inForce.keys.snapshots;
        },
        get bundles() {
          return inForce.keys.bundles;
        },
      },
      trust: {
        get jws() {
          return inForce.trust.jws;
        },
        rootThumbprint: loaded.trust.rootThumbprint,
      },
      get tls() {
        return inForce.tls;
      },
    },
    async refresh() {
      const found = stamp();
      if (found === seen) return { keys: false, tls: false };
      const before = inForce;
      const next = await loadCredentials(paths);
      seen = found;
      inForce = next;
      return { keys: next.trust.jws !== before.trust.jws, tls: next.tls.cert !== before.tls.cert };
    },
  };
}

/** Every rename gives another inode, also within one tick of the clock. */
function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? '-' : `${found.ino}.${found.mtimeMs}.${found.size}`;
}
