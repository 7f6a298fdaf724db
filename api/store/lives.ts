import type { Aftermath, Life, MasterStatus } from '#contract/life.ts';
import { compareVersions, type Version } from '#contract/snapshot.ts';
import type { Standing } from '../decisions/witness.ts';
import { audit } from './audit.ts';
import { refreshBundles } from './bundles.ts';
import { allNodes } from './nodes.ts';
import type { Store } from './open.ts';
import { currentVersion, readSettings } from './settings.ts';

export type Superseded = NonNullable<MasterStatus['superseded']>;

/** The newer version that a node has proven; undefined when this master is the newest that anybody knows. */
export function superseded({ db }: Store): Superseded | undefined {
  const row = db.query<{ superseded: string | null }, []>('SELECT superseded FROM settings WHERE id = 1').get();
  return row?.superseded ? JSON.parse(row.superseded) : undefined;
}

/** From now on nothing changes here, and no node gets anything. Only a promotion ends it. */
export function supersede(store: Store, by: Version, node: string, now: Date): void {
  store.write(() => {
    const known = superseded(store);
    if (known !== undefined && compareVersions(known.by, by) >= 0) return;
    const at = now.toISOString();
    const text = JSON.stringify({ by: { epoch: by.epoch, revision: by.revision }, node, at } satisfies Superseded);
    store.db.query('UPDATE settings SET superseded = ? WHERE id = 1').run(text);
    audit(store, now, {
      actor: `node ${node}`,
      act: 'master.superseded',
      subject: 'master',
      detail: { own: currentVersion(store), by: { epoch: by.epoch, revision: by.revision } },
    });
  });
}

export type Beginning = {
  cause: Life['cause'];
  /** When the copy was made that this life begins with. */
  copiedAt: string;
  actor: string;
  publicUrl?: string;
  /** Where the node of this machine is reached from now on. */
  moved?: { node: string; endpoint: string };
};

/**
 * Begins a new epoch. Codes and leases of the one before are void: whoever held one may have used it meanwhile. So are
 * kept answers, which tell of them. Everything else goes on: roster, addresses, tokens, and the audit log.
 */
export function beginLife(store: Store, { cause, copiedAt, actor, publicUrl, moved }: Beginning, now: Date): Version {
  return store.write(() => {
    const { db } = store;
    const from = currentVersion(store);
    const at = now.toISOString();
    const epoch = Math.max(from.epoch, superseded(store)?.by.epoch ?? 0) + 1;
    db.query(
      `UPDATE settings SET epoch = $epoch, revision = revision + 1, revised_at = max(revised_at, $at),
         superseded = NULL, public_url = coalesce($publicUrl, public_url) WHERE id = 1`,
    ).run({ epoch, at, publicUrl: publicUrl ?? null });
    const version = currentVersion(store);
    db.query('DELETE FROM devices WHERE registered_at IS NULL').run();
    const codes = db
      .query('UPDATE codes SET withdrawn_at = ? WHERE spent_at IS NULL AND withdrawn_at IS NULL AND expires_at > ?')
      .run(at, at).changes;
    const nodeCodes = db
      .query(
        'UPDATE node_codes SET withdrawn_at = ? WHERE spent_at IS NULL AND withdrawn_at IS NULL AND expires_at > ?',
      )
      .run(at, at).changes;
    db.query('DELETE FROM kept_answers').run();
    db.query('DELETE FROM witnesses').run();
    db.query(
      'UPDATE nodes SET applied_epoch = NULL, applied_revision = NULL, problem = NULL, vrrp = NULL, vip = NULL, healthy = NULL',
    ).run();
    if (moved !== undefined)
      db.query('UPDATE nodes SET endpoints = ? WHERE name = ?').run(JSON.stringify([moved.endpoint]), moved.node);
    refreshBundles(store, 'all', version.revision, now);
    db.query(
      `INSERT INTO lives (epoch, cause, began_at, from_epoch, from_revision, copied_at, witnessed_epoch,
         witnessed_revision, aftermath)
       VALUES ($epoch, $cause, $at, $fromEpoch, $fromRevision, $copiedAt, $fromEpoch, $fromRevision, $aftermath)`,
    ).run({
      epoch,
      cause,
      at,
      fromEpoch: from.epoch,
      fromRevision: from.revision,
      copiedAt,
      aftermath: JSON.stringify(nothing),
    });
    audit(store, now, {
      actor,
      act: `master.${cause}`,
      subject: 'master',
      detail: { from, copiedAt, epoch, revision: version.revision, voidCodes: codes + nodeCodes },
    });
    store.revised(version);
    return version;
  });
}

const nothing: Aftermath = {
  revoked: [],
  disabled: [],
  roles: [],
  removedNodes: [],
  lostDevices: [],
  lostUsers: [],
  lostNodes: [],
  policy: 'same',
  toClose: [],
};

type LifeRow = {
  epoch: number;
  cause: Life['cause'];
  began_at: string;
  from_epoch: number;
  from_revision: number;
  copied_at: string;
  witnessed_epoch: number;
  witnessed_revision: number;
  aftermath: string;
};

/** The life that the database is in; undefined in its first. */
export function currentLife(store: Store): Life | undefined {
  const { epoch } = currentVersion(store);
  const row = store.db.query<LifeRow, [number]>('SELECT * FROM lives WHERE epoch = ?').get(epoch);
  if (row === null) return undefined;
  const shown = shownBy(store);
  const nodes = allNodes(store).map(({ name }) => name);
  return {
    epoch,
    cause: row.cause,
    beganAt: row.began_at,
    from: { epoch: row.from_epoch, revision: row.from_revision },
    copiedAt: row.copied_at,
    witnessed: { epoch: row.witnessed_epoch, revision: row.witnessed_revision },
    witnesses: nodes.filter((node) => shown.has(node)),
    awaited: nodes.filter((node) => !shown.has(node)),
    aftermath: JSON.parse(row.aftermath),
  };
}

export function shownBy({ db }: Store): ReadonlyMap<string, Version> {
  const rows = db.query<Version & { node: string }, []>('SELECT node, epoch, revision FROM witnesses').all();
  return new Map(rows.map(({ node, epoch, revision }) => [node, { epoch, revision }]));
}

/** Writes down what a node has shown, or said that it holds. */
export function recordWitness(store: Store, node: string, { epoch, revision }: Version): void {
  store.write(() =>
    store.db
      .query(
        `INSERT INTO witnesses (node, epoch, revision) VALUES ($node, $epoch, $revision)
         ON CONFLICT (node) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision`,
      )
      .run({ node, epoch, revision }),
  );
}

export function standing(store: Store): Standing {
  const life = currentLife(store);
  return {
    own: currentVersion(store),
    life,
    shown: shownBy(store),
    nodes: life === undefined ? [] : [...life.witnesses, ...life.awaited],
  };
}

export function masterStatus(store: Store): MasterStatus {
  const { epoch, revision, publicUrl } = readSettings(store);
  return {
    epoch,
    revision,
    publicUrl,
    superseded: superseded(store) ?? null,
    life: currentLife(store) ?? null,
  };
}
