import { choosePrivate } from '#contract/private-ranges.ts';
import type { Version } from '#contract/snapshot.ts';
import { audit } from './audit.ts';
import { isStorageFailure } from './errors.ts';
import type { Store } from './open.ts';
import { insertDocument } from './policies.ts';

/**
 * `api` is where the API answers inside the tunnel, if it does: the port on that node. `mesh` is null until a master
 * that knows of it has started, and so is `authority`, the certificate for names of `domain`.
 */
export type Settings = Version & {
  revisedAt: string;
  pool: string;
  publicUrl: string;
  api: ApiPlace | null;
  mesh: string | null;
  advertMilliseconds: number;
  domain: string;
  upstreams: string[];
  authority: string | null;
};

export type ApiPlace = { node: string; port: number };

type Row = {
  epoch: number;
  revision: number;
  revised_at: string;
  pool: string;
  public_url: string;
  api_node: string | null;
  api_port: number | null;
  mesh: string | null;
  advert_ms: number;
  domain: string;
  upstreams: string;
  authority: string | null;
};

export function readSettings({ db }: Store): Settings {
  const row = db
    .query<Row, []>(
      `SELECT epoch, revision, revised_at, pool, public_url, api_node, api_port, mesh, advert_ms, domain, upstreams,
         authority FROM settings WHERE id = 1`,
    )
    .get();
  if (row === null) throw new Error('the database has no settings: it was not made by init');
  const { revised_at: revisedAt, public_url: publicUrl, api_node: node, api_port: port, ...others } = row;
  const { advert_ms: advertMilliseconds, upstreams, ...rest } = others;
  return {
    ...rest,
    revisedAt,
    publicUrl,
    api: node === null || port === null ? null : { node, port },
    advertMilliseconds,
    upstreams: JSON.parse(upstreams),
  };
}

/** The moment whose grants the bundles tell of: it follows the clock whenever a grant has run out. */
export function grantedAt({ db }: Store): string {
  return db.query<{ at: string }, []>('SELECT granted_at AS at FROM settings WHERE id = 1').get()?.at ?? '';
}

export function setGrantedAt({ db }: Store, at: Date): void {
  db.query('UPDATE settings SET granted_at = ? WHERE id = 1').run(at.toISOString());
}

/** Keeps where the API answers inside the tunnel. Nodes open that port to every device, so they see the change. */
export function recordApiPlace(store: Store, api: ApiPlace | null, now: Date): void {
  store.write(() => {
    const known = readSettings(store).api;
    if (known?.node === api?.node && known?.port === api?.port) return;
    raiseRevision(store, now);
    store.db
      .query('UPDATE settings SET api_node = $node, api_port = $port WHERE id = 1')
      .run({ node: api?.node ?? null, port: api?.port ?? null });
    audit(store, now, { actor: 'postern', act: 'api.place', subject: api?.node ?? 'none', detail: { api } });
  });
}

export function readPool({ db }: Store): string {
  const row = db.query<{ pool: string }, []>('SELECT pool FROM settings WHERE id = 1').get();
  if (row === null) throw new Error('the database has no settings: it was not made by init');
  return row.pool;
}

export function currentVersion({ db }: Store): Version {
  const row = db.query<Version, []>('SELECT epoch, revision FROM settings WHERE id = 1').get();
  if (row === null) throw new Error('the database has no settings: it was not made by init');
  return row;
}

/** The version that is on the disk. One that is not committed yet may never be, and those who wrote it are told. */
export function committedVersion(store: Store): Version {
  try {
    store.flush();
  } catch (error) {
    if (!isStorageFailure(error)) throw error;
  }
  return currentVersion(store);
}

export type FirstSettings = {
  pool: string;
  publicUrl: string;
  document: string;
  mesh?: string;
  upstreams?: readonly string[];
  authority?: string;
};

/** The internal domain, until an admin says another. */
export const usualDomain = 'corp.internal';

/** A subnet for the mesh that overlaps none of these. */
export function freeMesh(taken: readonly string[]): string {
  const mesh = choosePrivate(24, taken, Math.random);
  if (mesh === undefined) throw new Error('every /24 of 10.0.0.0/8 is taken, so there is none for the mesh');
  return mesh;
}

/** The first settings and policy of a new database, in epoch 1. Its first user makes revision 1. */
export function createSettings(store: Store, { document, ...first }: FirstSettings, now: Date): void {
  const { pool, publicUrl, mesh = freeMesh([pool]), upstreams = [], authority = null } = first;
  store.db
    .query(
      `INSERT INTO settings (id, epoch, revision, revised_at, pool, public_url, mesh, upstreams, authority)
       VALUES (1, 1, 0, $now, $pool, $publicUrl, $mesh, $upstreams, $authority)`,
    )
    .run({ now: now.toISOString(), pool, publicUrl, mesh, upstreams: JSON.stringify(upstreams), authority });
  insertDocument(store, { revision: 1, document, actor: 'setup', note: null }, now);
}

/**
 * Raises the revision by one, once in each transaction that changes what a node must see.
 * Its time never goes back, even when the clock does: a node takes an older time for a stale master.
 */
export function raiseRevision(store: Store, now: Date): Version {
  const version = store.db
    .query<Version, [string]>(
      `UPDATE settings SET revision = revision + 1, revised_at = max(revised_at, ?) WHERE id = 1
       RETURNING epoch, revision`,
    )
    .get(now.toISOString());
  if (version === null) throw new Error('the database has no settings: it was not made by init');
  store.revised(version);
  return version;
}

/** Raises the revision to one that is above `floor` too. */
export function raiseRevisionAbove(store: Store, floor: number, now: Date): Version {
  store.db.query('UPDATE settings SET revision = max(revision, ?) WHERE id = 1').run(floor);
  return raiseRevision(store, now);
}

/** Reads and writes, so that a full or read-only disk shows. */
export function feelPulse(store: Store, now: Date): Version {
  return store.write(() => {
    store.db
      .query('INSERT INTO pulse (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at')
      .run(now.toISOString());
    return currentVersion(store);
  });
}
