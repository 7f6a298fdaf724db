import { existsSync } from 'node:fs';
import { parseIpsetSave, renderIpsetRestore, type SetStep } from '../formats/ipset-save.ts';
import { parseIptablesSave, renderRestore } from '../formats/iptables-save.ts';
import type { ObservedFirewall, RestoreStep } from '../plan/firewall.ts';
import type { RunCommand } from './command.ts';

/** Reads rules and sets of the whole machine; the plan looks only at ours. */
export async function observeFirewall(run: RunCommand): Promise<ObservedFirewall> {
  const hasIpv6 = existsSync('/proc/sys/net/ipv6');
  const [ipv4, ipv6, sets] = await Promise.all([
    run(['iptables-save']),
    hasIpv6 ? run(['ip6tables-save']) : undefined,
    run(['ipset', 'save']),
  ]);
  return {
    rules: { ipv4: parseIptablesSave(ipv4), ipv6: ipv6 === undefined ? undefined : parseIptablesSave(ipv6) },
    sets: parseIpsetSave(sets).filter((set) => set.name.startsWith('postern-')),
  };
}

export async function applySetSteps(run: RunCommand, steps: readonly SetStep[]): Promise<void> {
  await run(['ipset', 'restore'], renderIpsetRestore(steps));
}

/** One transaction. `-w` waits for another program's change instead of failing. */
export async function applyRestore(run: RunCommand, { family, changes }: RestoreStep): Promise<void> {
  const program = family === 'ipv4' ? 'iptables-restore' : 'ip6tables-restore';
  await run([program, '--wait', '5', '--noflush'], renderRestore(changes));
}
