import type { Database } from 'bun:sqlite';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Version } from '#contract/snapshot.ts';
import { NotStored } from './errors.ts';

/** One transaction that the acts of one turn of the event loop share. */
type Batch = {
  acts: number;
  raised: Version | undefined;
  failure: NotStored | undefined;
  committed: Promise<void>;
  settle: PromiseWithResolvers<void>;
};

/** What one request has seen of batches, from its first byte to its answer. */
type Witness = { batches: Set<Batch>; over: boolean };

/** Enough that a turn under load is one batch, and few enough that nobody waits long for its commit. */
export const defaultBatchSize = 64;

/**
 * Acts of one turn share a transaction, each in a savepoint of its own, and one commit makes all of them durable: that
 * is one wait for the disk where there were many. Nothing is told to anybody, and nothing done outside the database,
 * before that commit; whoever waits for it is told when it fails.
 *
 * There is one connection, so acts and reads of the same turn see what is not committed yet. That is right because they
 * share its fate: their own acts stand in the same transaction, and their answers wait for the same commit (`durably`).
 */
export function groupCommit(db: Database, batchSize: number) {
  const witnesses = new AsyncLocalStorage<Witness>();
  const revisedListeners: ((version: Version) => void)[] = [];
  const committedListeners: ((commit: { acts: number; seconds: number }) => void)[] = [];
  const undoneListeners: (() => void)[] = [];
  let open: Batch | undefined;
  let isActing = false;
  const savepoint = db.query('SAVEPOINT act');
  const release = db.query('RELEASE act');

  const begin = (): Batch => {
    db.run('BEGIN IMMEDIATE');
    const settle = Promise.withResolvers<void>();
    // Not everybody who writes waits; whoever does is told.
    settle.promise.catch(() => {});
    const batch = { acts: 0, raised: undefined, failure: undefined, committed: settle.promise, settle };
    open = batch;
    // In nobody's name: what happens at the commit is no part of the request that came first.
    witnesses.exit(() => setImmediate(() => commitQuietly(batch)));
    return batch;
  };

  const fail = (batch: Batch, cause: unknown): NotStored => {
    if (open === batch) open = undefined;
    // A full disk may already have rolled back.
    if (db.inTransaction) db.run('ROLLBACK');
    const failure = new NotStored(cause);
    batch.failure = failure;
    batch.settle.reject(failure);
    for (const listener of undoneListeners) listener();
    return failure;
  };

  const commit = (batch: Batch): void => {
    open = undefined;
    const began = performance.now();
    try {
      db.run('COMMIT');
    } catch (cause) {
      throw fail(batch, cause);
    }
    batch.settle.resolve();
    const seconds = (performance.now() - began) / 1000;
    for (const listener of committedListeners) listener({ acts: batch.acts, seconds });
    const version = batch.raised;
    if (version !== undefined) for (const listener of revisedListeners) listener(version);
  };

  const commitQuietly = (batch: Batch): void => {
    if (open !== batch) return;
    try {
      commit(batch);
    } catch (error) {
      if (error !== batch.failure) throw error;
    }
  };

  /** Undoes one act alone. Where that is impossible the others of its batch are undone too, and told. */
  const undo = (batch: Batch, error: unknown): void => {
    if (!db.inTransaction) {
      fail(batch, error);
      return;
    }
    try {
      db.run('ROLLBACK TO act');
      release.run();
    } catch (cause) {
      fail(batch, cause);
    }
  };

  const witness = (): Witness | undefined => {
    const own = witnesses.getStore();
    return own === undefined || own.over ? undefined : own;
  };

  const flush = (): void => {
    if (isActing) throw new Error('an act cannot commit: it is a part of what is committed');
    if (open !== undefined) commit(open);
  };

  return {
    /** Notes that whoever runs now may see what is not committed yet. */
    look(): void {
      if (open !== undefined) witness()?.batches.add(open);
    },

    write<T>(act: () => T): T {
      if (isActing) return act();
      const own = witness();
      // What it decided by was never stored.
      for (const { failure } of own?.batches ?? []) if (failure !== undefined) throw failure;
      const batch = open ?? begin();
      own?.batches.add(batch);
      const raisedBefore = batch.raised;
      const isFull = ++batch.acts >= batchSize;
      let value: T;
      isActing = true;
      try {
        savepoint.run();
        value = act();
        release.run();
      } catch (error) {
        batch.raised = raisedBefore;
        undo(batch, error);
        if (isFull) commitQuietly(batch);
        throw error;
      } finally {
        isActing = false;
      }
      if (isFull) commit(batch);
      return value;
    },

    revised(version: Version): void {
      if (open !== undefined) open.raised = version;
    },

    flush,

    async settled(): Promise<void> {
      const seen = [...(witness()?.batches ?? []), ...(open === undefined ? [] : [open])];
      for (const batch of seen) await batch.committed;
    },

    async durably<T>(act: () => Promise<T>): Promise<T> {
      const own: Witness = { batches: new Set(), over: false };
      try {
        const value = await witnesses.run(own, act);
        if (open !== undefined) own.batches.add(open);
        for (const batch of own.batches) await batch.committed;
        return value;
      } finally {
        own.over = true;
        own.batches.clear();
      }
    },

    onRevised: (listener: (version: Version) => void): void => void revisedListeners.push(listener),
    onCommitted: (listener: (commit: { acts: number; seconds: number }) => void): void =>
      void committedListeners.push(listener),
    onUndone: (listener: () => void): void => void undoneListeners.push(listener),
  };
}
