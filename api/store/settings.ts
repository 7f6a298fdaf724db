import type { Policy } from '#contract/policy.ts';
import type { Version } from '#contract/snapshot.ts';
import { isStorageFailure } from './errors.ts';
import type { Store } from './open.ts';

export type Settings = Version & { revisedAt: string; pool: string; publicUrl: string; policy: Policy };

type Row = { epoch: number; revision: number; revised_at: string; pool: string; public_url: string; policy: string };

export function readSettings({ db }: Store): Settings {
  const row = db
    .query<Row, []>('SELECT epoch, revision, revised_at, pool, public_url, policy FROM settings WHERE id = 1')
    .get();
  if (row === null) throw new Error('the database has no settings: it was not made by init');
  const { revised_at: revisedAt, public_url: publicUrl, policy, ...rest } = row;
  return { ...rest, revisedAt, publicUrl, policy: parsePolicy(policy) };
}

/** It is long, asked for by almost everything, and seldom another one than last time. */
let lastParsed: { text: string; policy: Policy } | undefined;

function parsePolicy(text: string): Policy {
  if (lastParsed?.text !== text) lastParsed = { text, policy: JSON.parse(text) };
  return lastParsed.policy;
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

/** The first settings of a new database, in epoch 1. Its first user makes revision 1. */
export function createSettings(store: Store, first: Pick<Settings, 'pool' | 'publicUrl' | 'policy'>, now: Date): void {
  store.db
    .query(
      `INSERT INTO settings (id, epoch, revision, revised_at, pool, public_url, policy)
       VALUES (1, 1, 0, $now, $pool, $publicUrl, $policy)`,
    )
    .run({
      now: now.toISOString(),
      pool: first.pool,
      publicUrl: first.publicUrl,
      policy: JSON.stringify(first.policy),
    });
}

export function writePolicy(store: Store, policy: Policy): void {
  store.db.query('UPDATE settings SET policy = ? WHERE id = 1').run(JSON.stringify(policy));
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
