/** Rules as iptables-save(8) writes them after `-A CHAIN `, by chain, for one table. */
export type SavedTable = ReadonlyMap<string, readonly string[]>;

/** The tables of one family, by name. A table that the kernel has not loaded is absent. */
export type SavedRules = ReadonlyMap<string, SavedTable>;

/**
 * Reads iptables-save(8) or ip6tables-save(8), counters or not. Rules stay text: the kernel's canonical text is what
 * ours are compared with.
 *
 * @throws SyntaxError on any line it does not know: an unreadable observation is not an empty one.
 */
export function parseIptablesSave(text: string): SavedRules {
  const tables = new Map<string, Map<string, string[]>>();
  let table: Map<string, string[]> | undefined;
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('*')) {
      table = new Map();
      tables.set(line.slice(1), table);
      continue;
    }
    if (table === undefined) throw new SyntaxError(`iptables-save: "${line}" stands outside any table`);
    if (line === 'COMMIT') table = undefined;
    else readLine(table, line);
  }
  if (table !== undefined) throw new SyntaxError('iptables-save: the text ends inside a table');
  return tables;
}

function readLine(table: Map<string, string[]>, line: string): void {
  const chain = /^:(\S+) (?:[A-Z]+|-)(?: \[\d+:\d+\])?$/.exec(line)?.[1];
  if (chain !== undefined) {
    table.set(chain, table.get(chain) ?? []);
    return;
  }
  const [, name, rule] = /^(?:\[\d+:\d+\] )?-A (\S+)(?: (.*))?$/.exec(line) ?? [];
  const rules = name === undefined ? undefined : table.get(name);
  if (rules === undefined) throw new SyntaxError(`iptables-save: cannot read "${line}"`);
  // By name only where the machine has a list of protocols.
  rules.push((rule ?? '').replace(/(^| )-p vrrp /, '$1-p 112 '));
}

/** The change of one table, as iptables-restore(8) takes it with `--noflush`: all of it or nothing. */
export type TableChange = {
  table: string;
  /** Rules of others' chains, or our jumps in them, that go. */
  deletions: readonly { chain: string; rule: string }[];
  /** Our chains, each as a whole. Whatever was in one of that name before is replaced. */
  chains: readonly { name: string; rules: readonly string[] }[];
  /** Jumps to put at the first place of a built-in chain. */
  jumps: readonly { hook: string; chain: string }[];
  /** Our chains that are no longer needed. */
  removedChains: readonly string[];
};

export function renderRestore(changes: readonly TableChange[]): string {
  return changes
    .map(({ table, deletions, chains, jumps, removedChains }) =>
      [
        `*${table}`,
        ...[...chains.map(({ name }) => name), ...removedChains].map((name) => `:${name} - [0:0]`),
        ...deletions.map(({ chain, rule }) => `-D ${chain} ${rule}`),
        ...chains.flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${rule}`)),
        ...jumps.map(({ hook, chain }) => `-I ${hook} 1 -j ${chain}`),
        ...removedChains.map((name) => `-X ${name}`),
        'COMMIT\n',
      ].join('\n'),
    )
    .join('');
}
