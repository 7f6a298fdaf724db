import type { Surroundings } from '../plan/surroundings.ts';
import type { RunCommand } from './command.ts';

/** Looks at who else filters packets on this machine, and changes nothing. */
export async function observeSurroundings(run: RunCommand): Promise<Surroundings> {
  const [version, legacy, nftables, firewalld] = await Promise.all([
    run(['iptables', '--version']),
    saved(run, 'iptables-legacy-save', 'ip6tables-legacy-save'),
    saved(run, 'iptables-nft-save', 'ip6tables-nft-save'),
    Bun.which('nft') === null ? undefined : run(['nft', 'list', 'table', 'inet', 'firewalld']).catch(() => undefined),
  ]);
  return {
    kind: version.includes('nf_tables') ? 'nf_tables' : 'legacy',
    saved: { legacy, nf_tables: nftables },
    firewalld,
  };
}

/** What cannot be listed has no rules here: the program, or the kernel's part for it, is not there. */
async function saved(run: RunCommand, ...programs: readonly string[]): Promise<string> {
  const texts = programs.map((program) => (Bun.which(program) === null ? '' : run([program]).catch(() => '')));
  return (await Promise.all(texts)).join('');
}
