import { rm } from 'node:fs/promises';
import * as v from 'valibot';
import type { InterfaceName } from '#contract/network.ts';
import { readFileIfPresent, writeFileAtomically } from './files.ts';

const Tables = v.array(v.string());

/**
 * What the machine was like before we first changed it: forwarding by interface, whether TCP in midstream counted as a
 * new flow, and the tables of its firewall.
 */
const Journal = v.object({
  forwarding: v.record(v.string(), v.boolean()),
  picksUpFlows: v.exactOptional(v.boolean()),
  tables: v.exactOptional(v.object({ ipv4: Tables, ipv6: Tables })),
});

/** The tables of a firewall, by family. */
export type Tables = { ipv4: readonly string[]; ipv6: readonly string[] };

/** Written down before the change, so that a crash in between forgets nothing. */
export type Journal = {
  forwarding(): Promise<ReadonlyMap<InterfaceName, boolean>>;
  picksUpFlows(): Promise<boolean | undefined>;
  tables(): Promise<Tables | undefined>;
  /** Notes what was found, once; what is known already stays. */
  noteForwarding(device: InterfaceName, enabled: () => Promise<boolean | undefined>): Promise<void>;
  notePicksUpFlows(found: () => Promise<boolean | undefined>): Promise<void>;
  noteTables(found: () => Promise<Tables>): Promise<void>;
  /** All is as it was found: what is found the next time counts then. */
  forget(): Promise<void>;
};

/** @throws ValiError when the file is damaged: nobody knows then what to put back. */
export function openJournal(path: string): Journal {
  let known: v.InferOutput<typeof Journal> | undefined;
  const read = async () => {
    if (known !== undefined) return known;
    const text = await readFileIfPresent(path);
    known = text === undefined ? { forwarding: {} } : v.parse(Journal, JSON.parse(text));
    return known;
  };
  const write = async (next: v.InferOutput<typeof Journal>) => {
    await writeFileAtomically(path, `${JSON.stringify(next)}\n`);
    known = next;
  };
  return {
    forwarding: async () => new Map(Object.entries((await read()).forwarding)),
    picksUpFlows: async () => (await read()).picksUpFlows,
    tables: async () => (await read()).tables,
    async noteForwarding(device, enabled) {
      const before = await read();
      if (Object.hasOwn(before.forwarding, device)) return;
      await write({ ...before, forwarding: { ...before.forwarding, [device]: (await enabled()) ?? false } });
    },
    async notePicksUpFlows(found) {
      const before = await read();
      if (before.picksUpFlows === undefined) await write({ ...before, picksUpFlows: (await found()) ?? true });
    },
    async noteTables(found) {
      const before = await read();
      if (before.tables !== undefined) return;
      const { ipv4, ipv6 } = await found();
      await write({ ...before, tables: { ipv4: [...ipv4], ipv6: [...ipv6] } });
    },
    async forget() {
      await rm(path, { force: true });
      known = undefined;
    },
  };
}
