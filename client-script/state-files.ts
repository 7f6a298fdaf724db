import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { Thumbprint } from '#contract/key.ts';
import { DisplayName, Id, Name, Timestamp } from '#contract/name.ts';
import { Outage, SwitchCause } from '#contract/outage.ts';
import { ClientFailure, messageOf } from './failure.ts';
import { CredentialKey, makeCredentialKey, makeWireguardKey, type WireguardKey, wireguardPublicKey } from './keys.ts';

export const defaultStateDir = '/var/lib/postern-client';

/** What a device that has joined remembers. `reached` names the nodes that are known to know this device. */
export const Membership = v.object({
  master: v.string(),
  root: Thumbprint,
  deviceId: Id,
  deviceName: DisplayName,
  reached: v.array(Name),
});
export type Membership = v.InferOutput<typeof Membership>;

/** The node that has this device's packets, since when, and why it was changed to where it was. */
export const ActiveNode = v.object({ node: Name, since: Timestamp, cause: v.exactOptional(SwitchCause) });
export type ActiveNode = v.InferOutput<typeof ActiveNode>;

/** What this device saw of failing nodes, the oldest first; the last `untold` of them no node has been told yet. */
export const OutageRecord = v.object({ outages: v.array(Outage), untold: v.number() });
export type OutageRecord = v.InferOutput<typeof OutageRecord>;

export type DeviceKeys = { wireguard: WireguardKey; credential: CredentialKey };

/** The files of one state directory. All are 0600 in a 0700 directory, and each is replaced as a whole. */
export class StateFiles {
  readonly directory: string;
  readonly wireguardKeyFile: string;
  readonly pidFile: string;
  readonly logFile: string;

  constructor(directory: string) {
    this.directory = directory;
    this.wireguardKeyFile = join(directory, 'wireguard.key');
    this.pidFile = join(directory, 'watch.pid');
    this.logFile = join(directory, 'watch.log');
  }

  async exists(): Promise<boolean> {
    return (await stat(this.directory).catch(() => undefined)) !== undefined;
  }

  /** Makes the directory where it is missing; takes it away from others where it is open to them. */
  async prepare(): Promise<void> {
    try {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      await chmod(this.directory, 0o700);
    } catch (cause) {
      throw notAllowed(this.directory, cause);
    }
  }

  /** The keys of this device, made at the first call and the same ever after: a second run resumes the first. */
  async loadOrMakeKeys(): Promise<DeviceKeys> {
    const existing = await this.loadKeys();
    const wireguard = existing.wireguard ?? makeWireguardKey();
    const credential = existing.credential ?? makeCredentialKey();
    if (existing.wireguard === undefined) await this.write('wireguard.key', `${wireguard.privateKey}\n`);
    if (existing.credential === undefined) await this.write('credential.jwk.json', `${JSON.stringify(credential)}\n`);
    return { wireguard, credential };
  }

  async loadKeys(): Promise<Partial<DeviceKeys>> {
    const keyText = await this.read('wireguard.key');
    const credential = await this.readJson('credential.jwk.json', CredentialKey);
    const wireguard = keyText === undefined ? undefined : this.parseKey(keyText.trim());
    return { ...(wireguard && { wireguard }), ...(credential && { credential }) };
  }

  membership(): Promise<Membership | undefined> {
    return this.readJson('device.json', Membership);
  }

  saveMembership(membership: Membership): Promise<void> {
    return this.write('device.json', `${JSON.stringify(membership, null, 2)}\n`);
  }

  /** The signed texts: this device's bundle, and the trust list it was checked against. */
  signed(name: 'bundle' | 'trust'): Promise<string | undefined> {
    return this.read(`${name}.jws`);
  }

  saveSigned(name: 'bundle' | 'trust', jws: string): Promise<void> {
    return this.write(`${name}.jws`, `${jws}\n`);
  }

  /**
   * Replaces both, of which neither may fit the other's predecessor. Cut short in between, the bundle fits one of the
   * two lists that are there then: see {@link nextTrust}.
   */
  async saveTogether({ trust, bundle }: { trust: string; bundle: string }): Promise<void> {
    await this.write('trust.next.jws', `${trust}\n`);
    await this.saveSigned('bundle', bundle);
    await this.saveSigned('trust', trust);
    await rm(join(this.directory, 'trust.next.jws'), { force: true });
  }

  /** The list that was about to take the place of the other when something cut in. */
  nextTrust(): Promise<string | undefined> {
    return this.read('trust.next.jws');
  }

  /** What the watcher last saw. */
  report<T>(schema: v.GenericSchema<unknown, T>): Promise<T | undefined> {
    return this.readLoosely('status.json', schema);
  }

  /** Written every few seconds, so it is not worth a disk's wear to have it survive a power cut. */
  saveReport(report: unknown): Promise<void> {
    return this.write('status.json', `${JSON.stringify(report)}\n`, { isLasting: false });
  }

  active(): Promise<ActiveNode | undefined> {
    return this.readLoosely('active.json', ActiveNode);
  }

  saveActive(active: ActiveNode): Promise<void> {
    return this.write('active.json', `${JSON.stringify(active)}\n`, { isLasting: false });
  }

  async outages(): Promise<OutageRecord> {
    return (await this.readLoosely('outages.json', OutageRecord)) ?? { outages: [], untold: 0 };
  }

  saveOutages(record: OutageRecord): Promise<void> {
    return this.write('outages.json', `${JSON.stringify(record)}\n`);
  }

  /** Removes all of it, keys included. */
  async removeAll(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Replaces a file in one step: whoever reads, also after a power cut, sees the old or the new text. */
  async write(name: string, text: string, { isLasting } = { isLasting: true }): Promise<void> {
    const path = join(this.directory, name);
    const draft = `${path}.${randomBytes(6).toString('hex')}.new`;
    try {
      const file = await open(draft, 'wx', 0o600);
      try {
        await file.writeFile(text);
        if (isLasting) await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
    } catch (cause) {
      await rm(draft, { force: true }).catch(() => undefined);
      throw notAllowed(path, cause);
    }
  }

  private async read(name: string): Promise<string | undefined> {
    const path = join(this.directory, name);
    try {
      return await readFile(path, 'utf8');
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return undefined;
      throw notAllowed(path, cause);
    }
  }

  private async readJson<T>(name: string, schema: v.GenericSchema<unknown, T>): Promise<T | undefined> {
    const text = await this.read(name);
    if (text === undefined) return undefined;
    try {
      return v.parse(schema, JSON.parse(text));
    } catch (cause) {
      throw corrupt(join(this.directory, name), cause);
    }
  }

  /** Of a file that only tells what was: undefined when it cannot be understood. */
  private async readLoosely<T>(name: string, schema: v.GenericSchema<unknown, T>): Promise<T | undefined> {
    try {
      return await this.readJson(name, schema);
    } catch (error) {
      if (error instanceof ClientFailure && error.code === 'state-corrupt') return undefined;
      throw error;
    }
  }

  private parseKey(privateKey: string): WireguardKey {
    try {
      return { privateKey, publicKey: wireguardPublicKey(privateKey) };
    } catch (cause) {
      throw corrupt(this.wireguardKeyFile, cause);
    }
  }
}

/** A state file that cannot be understood: said so and left as it is. */
export function corrupt(path: string, cause: unknown): ClientFailure {
  return new ClientFailure(
    'failed',
    'state-corrupt',
    `${path} cannot be understood`,
    `Nothing was changed. Restore the file from a backup; or start anew: move ${dirname(path)} away, ask your admin to revoke this device and join with a new code.`,
    cause,
  );
}

function notAllowed(path: string, cause: unknown): ClientFailure {
  if (codeOf(cause) === 'EACCES' || codeOf(cause) === 'EPERM') {
    return new ClientFailure(
      'lacking',
      'needs-root',
      `${path}: permission denied`,
      'Run it as root, with sudo.',
      cause,
    );
  }
  return new ClientFailure(
    'failed',
    'state-unusable',
    `${path}: ${messageOf(cause)}`,
    'Make room and see that the directory can be written, then run it again.',
    cause,
  );
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
