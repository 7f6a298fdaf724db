import { existsSync } from 'node:fs';
import { secondsLeft } from '#policies/compile/render.ts';
import { type Flow, flowWords, parseConntrack } from '../formats/conntrack.ts';
import { parseIpsetSave, renderIpsetRestore, type SetStep } from '../formats/ipset-save.ts';
import { parseIptablesSave, renderRestore } from '../formats/iptables-save.ts';
import type { ObservedFirewall, RestoreStep } from '../plan/firewall.ts';
import { observedSet } from '../plan/sets.ts';
import type { RunCommand } from './command.ts';
import type { Tables } from './journal.ts';

/** Reads rules and sets of the whole machine; the plan looks only at ours. */
export async function observeFirewall(run: RunCommand): Promise<ObservedFirewall> {
  const hasIpv6 = existsSync('/proc/sys/net/ipv6');
  const now = Date.now();
  const [ipv4, ipv6, sets] = await Promise.all([
    run(['iptables-save']),
    hasIpv6 ? run(['ip6tables-save']) : undefined,
    run(['ipset', 'save']),
  ]);
  return {
    rules: { ipv4: parseIptablesSave(ipv4), ipv6: ipv6 === undefined ? undefined : parseIptablesSave(ipv6) },
    sets: parseIpsetSave(sets)
      .filter((set) => set.name.startsWith('postern-'))
      .map((set) => observedSet(set, now)),
  };
}

export async function applySetSteps(run: RunCommand, steps: readonly SetStep[]): Promise<void> {
  const now = Date.now();
  await run(
    ['ipset', 'restore'],
    renderIpsetRestore(steps, (until) => secondsLeft(until, now)),
  );
}

/** One transaction. `-w` waits for another program's change instead of failing. */
export async function applyRestore(run: RunCommand, { family, changes }: RestoreStep): Promise<void> {
  const program = family === 'ipv4' ? 'iptables-restore' : 'ip6tables-restore';
  await run([program, '--wait', '5', '--noflush'], renderRestore(changes));
}

/**
 * Takes away tables that the kernel lists only because our chains were in them. nf_tables keeps a table that was made
 * for a chain, and iptables has no word for removing one. `found` names the tables of before; what has rules of others by
 * now stays. Where iptables is the older kind, tables come and go with modules, and nothing is done.
 */
export async function removeEmptiedTables(run: RunCommand, found: Tables): Promise<void> {
  if (Bun.which('nft') === null || !(await run(['iptables', '--version'])).includes('nf_tables')) return;
  const { rules } = await observeFirewall(run);
  for (const family of ['ipv4', 'ipv6'] as const)
    for (const [table, chains] of rules[family] ?? []) {
      const isEmptied = [...chains].every(([name, lines]) => isBuiltIn(name) && lines.length === 0);
      if (isEmptied && !found[family].includes(table))
        await run(['nft', 'delete', 'table', family === 'ipv4' ? 'ip' : 'ip6', table]);
    }
}

export async function tablesOf(run: RunCommand): Promise<Tables> {
  const { rules } = await observeFirewall(run);
  return { ipv4: [...rules.ipv4.keys()], ipv6: [...(rules.ipv6?.keys() ?? [])] };
}

const isBuiltIn = (chain: string) => ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].includes(chain);

/** Few programs at once: ending flows must not starve what else the node does. */
const endedTogether = 8;

/**
 * Has the kernel forget the flows that must end: their next packet belongs to no flow any more, from whichever side it
 * comes. What ends by itself meanwhile is no error.
 *
 * @returns how many there were.
 */
export async function endFlows(run: RunCommand, mustEnd: (flow: Flow) => boolean): Promise<number> {
  const ending = parseConntrack(await run(['conntrack', '-L', '-f', 'ipv4'])).filter(mustEnd);
  for (let first = 0; first < ending.length; first += endedTogether)
    await Promise.all(
      ending
        .slice(first, first + endedTogether)
        .map((flow) => run(['conntrack', '-D', '-f', 'ipv4', ...flowWords(flow)]).catch(() => undefined)),
    );
  return ending.length;
}
