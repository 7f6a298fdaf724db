import { sha256Hex } from './hash.ts';

/** A row of the audit log as it is stored; `detail` is JSON text, of which every byte counts. */
export type ChainedRow = {
  readonly id: number;
  readonly at: string;
  readonly actor: string;
  readonly act: string;
  readonly subject: string;
  readonly detail: string;
};

/** What stands before the first row. */
export const beginning = '0'.repeat(64);

/** The hash of a row: over the hash of the row before and all that this one says, so no row can change behind it. */
export function chainHash(previous: string, { id, at, actor, act, subject, detail }: ChainedRow): string {
  return sha256Hex(`${previous}\n${JSON.stringify([id, at, actor, act, subject, detail])}`);
}
