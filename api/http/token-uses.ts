import type { ApiToken } from '#contract/token.ts';
import { recordUses } from '../store/api-tokens.ts';
import type { Store } from '../store/open.ts';
import type { FailureLog } from './errors.ts';

const everyMilliseconds = 60_000;

export type TokenUses = ReturnType<typeof newTokenUses>;

/** When each token was used last. A request only notes it here: reading must work on a full disk too, and writes cost. */
export function newTokenUses() {
  let noted = new Map<string, Date>();
  return {
    note: (tokenId: string, now: Date): void => void noted.set(tokenId, now),
    /** The last use, stored or not yet. */
    lastUse: ({ id, lastUsedAt }: ApiToken): string | null => noted.get(id)?.toISOString() ?? lastUsedAt,
    /** Writes down what was noted; what cannot be stored is noted still. */
    record(store: Store): void {
      if (noted.size === 0) return;
      recordUses(store, noted);
      noted = new Map();
    },
  };
}

/** Writes the uses of tokens down, at most once a minute for each. */
export function recordUsesRegularly(master: { store: Store; uses: TokenUses; log: FailureLog }): { stop(): void } {
  const record = () => {
    try {
      master.uses.record(master.store);
    } catch (error) {
      master.log.error({ err: error }, 'when tokens were used last could not be written down; it is tried again');
    }
  };
  const timer = setInterval(record, everyMilliseconds);
  return {
    stop() {
      clearInterval(timer);
      record();
    },
  };
}
