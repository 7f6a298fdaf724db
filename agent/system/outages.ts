import * as v from 'valibot';
import { ReportedOutage } from '#contract/agent.ts';
import { readFileIfPresent, writeFileAtomically } from './files.ts';

/** Outages that devices told, until the master has them. Kept over restarts of the agent. */
export interface OutageStore {
  add(outages: readonly ReportedOutage[]): void;
  waiting(): readonly ReportedOutage[];
  /** The master has them. */
  delivered(outages: readonly ReportedOutage[]): void;
}

/** As many as fit into a report. When there are more, the oldest are forgotten: a master that is away for so long. */
const most = 1_000;

export async function openOutages(path: string, log: (line: string) => void): Promise<OutageStore> {
  let waiting = await read(path);
  let isWriting = false;
  let isStale = false;
  const write = async () => {
    if (isWriting) return;
    isWriting = true;
    while (isStale) {
      isStale = false;
      await writeFileAtomically(path, JSON.stringify(waiting)).catch((error: Error) =>
        log(`outages that devices told were not written down: ${error.message}`),
      );
    }
    isWriting = false;
  };
  const keep = (next: readonly ReportedOutage[]) => {
    waiting = next.slice(-most);
    isStale = true;
    write();
  };
  return {
    // A device that heard no answer tells the same again.
    add(outages) {
      const known = new Set(waiting.map(identity));
      const fresh = outages.filter((outage) => !known.has(identity(outage)));
      if (fresh.length > 0) keep([...waiting, ...fresh]);
    },
    waiting: () => waiting,
    delivered(outages) {
      const gone = new Set(outages.map(identity));
      if (gone.size > 0) keep(waiting.filter((outage) => !gone.has(identity(outage))));
    },
  };
}

const identity = ({ publicKey, at, from, to }: ReportedOutage) => [publicKey, at, from, to].join(' ');

async function read(path: string): Promise<readonly ReportedOutage[]> {
  try {
    return v.parse(v.array(ReportedOutage), JSON.parse((await readFileIfPresent(path)) ?? '[]'));
  } catch {
    return [];
  }
}
