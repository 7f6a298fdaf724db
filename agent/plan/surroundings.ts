/** What else on this machine decides about packets, as its own programs list it; absent where the program is. */
export type Surroundings = {
  /** The kind of iptables that the plain names stand for, and so the kind that our rules are of. */
  kind: 'legacy' | 'nf_tables';
  /** The rules of both address families by each kind, as iptables-save writes them. */
  saved: { legacy: string; nf_tables: string };
  /** firewalld's own table, as nft(8) lists it. */
  firewalld: string | undefined;
};

const programOf = { legacy: 'iptables-legacy', nf_tables: 'iptables-nft' } as const;

/**
 * What a person has to decide, in words. Nothing of it lets through what the policy forbids: a packet has to pass
 * everyone's rules.
 */
export function troubleAround(surroundings: Surroundings, tunnel: string): readonly string[] {
  return [mixedKinds(surroundings), refusalByFirewalld(surroundings, tunnel)].filter((one) => one !== undefined);
}

/** Rules of both kinds of iptables: nobody can tell what passes, and ours would be one half of it. */
export function mixedKinds({ kind, saved }: Surroundings): string | undefined {
  const other = kind === 'legacy' ? 'nf_tables' : 'legacy';
  const [mine, theirs] = [ruleCount(saved[kind]), ruleCount(saved[other])];
  if (theirs === 0) return undefined;
  return (
    `this machine has firewall rules of ${programOf[other]} (${theirs}) beside those of ${programOf[kind]} (${mine}), which ` +
    `is in use: a packet must pass both, and only one is looked after. Move them, ${programOf[other]}-save | ` +
    `${programOf[kind]}-restore --noflush, and empty their tables with ${programOf[other]} -F and -X; or choose the ` +
    'other kind for all: update-alternatives --config iptables'
  );
}

/** firewalld with nftables decides after us, and what we let through it may still refuse. */
function refusalByFirewalld({ firewalld }: Surroundings, tunnel: string): string | undefined {
  if (firewalld === undefined || firewalld.includes(`"${tunnel}"`)) return undefined;
  return (
    `firewalld refuses what comes from ${tunnel}, whatever the policy allows; leave that to the policy: ` +
    `firewall-cmd --permanent --zone=trusted --add-interface=${tunnel} && firewall-cmd --reload`
  );
}

/** Whether our rules stand among those of the kind in use. What only tries the kernel out does not count. */
export function hasOurs({ kind, saved }: Surroundings): boolean {
  return /^:POSTERN-(?!PROBE)/m.test(saved[kind]);
}

function ruleCount(saved: string): number {
  return saved.match(/^-A /gm)?.length ?? 0;
}
