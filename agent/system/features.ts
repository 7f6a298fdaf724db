import type { RunCommand } from './command.ts';
import { removeEmptiedTables } from './firewall.ts';
import type { Tables } from './journal.ts';

/** Sets of each kind that a compiled policy is made of, by the kernel's module for it. */
const sets = [
  { name: 'postern-probe-ip', definition: 'hash:ip family inet timeout 0', module: 'ip_set_hash_ip' },
  { name: 'postern-probe-net', definition: 'hash:net family inet', module: 'ip_set_hash_net' },
  { name: 'postern-probe-list', definition: 'list:set size 8 timeout 0', module: 'ip_set_list_set' },
] as const;

const chain = 'POSTERN-PROBE';

/** One rule for each match and target that a compiled policy uses, in the table where it uses it. */
const rules = [
  { table: 'filter', words: '-m set --match-set postern-probe-ip src', module: 'xt_set' },
  { table: 'filter', words: '-m conntrack --ctstate ESTABLISHED --ctdir REPLY', module: 'xt_conntrack' },
  { table: 'filter', words: '-p tcp -m multiport --dports 22,443', module: 'xt_multiport' },
  { table: 'filter', words: '-m comment --comment "postern"', module: 'xt_comment' },
  { table: 'filter', words: '-p tcp -j REJECT --reject-with tcp-reset', module: 'ipt_REJECT' },
  { table: 'nat', words: '-j MASQUERADE', module: 'xt_MASQUERADE' },
  { table: 'nat', words: '-p tcp -j DNAT --to-destination 192.0.2.1', module: 'xt_nat' },
  { table: 'mangle', words: '-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu', module: 'xt_TCPMSS' },
] as const;

/**
 * What the kernel lacks that a policy needs, each with what to do about it. It is tried, with sets and a chain that no
 * packet comes through and that are gone afterwards; the tables, where our rules come next, stay unless something is
 * missing. For a machine without rules of ours; `found` are the tables it had.
 */
export async function missingFeatures(run: RunCommand, found: Tables): Promise<readonly string[]> {
  const additions = tables.map((table) => ({ table, added: rules.filter((rule) => rule.table === table) }));
  try {
    await run(['ipset', 'restore'], text(sets.map(creation)));
    await run(restore, text([...additions.flatMap(({ table, added }) => change(table, added)), ...removal]));
    await run(['ipset', 'restore'], text(sets.map(({ name }) => `destroy ${name}`)));
    return [];
  } catch {
    const missing = await missingOneByOne(run);
    await removeEmptiedTables(run, found);
    return missing;
  }
}

async function missingOneByOne(run: RunCommand): Promise<readonly string[]> {
  const missing: string[] = [];
  const attempt = async (what: string, module: string, trying: Promise<unknown>) => {
    await trying.catch((error: Error) =>
      missing.push(`${what} does not work here: modprobe ${module}; ${error.message}`),
    );
  };
  for (const set of sets)
    await attempt(`an ipset of type ${set.definition}`, set.module, run(['ipset', 'restore'], text([creation(set)])));
  for (const rule of rules) {
    const adding = run(restore, text(change(rule.table, [rule])));
    await attempt(`iptables -t ${rule.table} ${rule.words}`, rule.module, adding);
  }
  for (const table of tables) await run(restore, text(change(table, [], removed))).catch(() => undefined);
  for (const { name } of sets) await run(['ipset', 'destroy', name]).catch(() => undefined);
  return missing;
}

const restore = ['iptables-restore', '--wait', '5', '--noflush'] as const;
const tables = ['filter', 'nat', 'mangle'] as const;

const creation = ({ name, definition }: (typeof sets)[number]) => `create ${name} ${definition} -exist`;

function change(table: string, added: readonly { words: string }[], ...more: readonly string[]): readonly string[] {
  return [`*${table}`, `:${chain} - [0:0]`, ...added.map(({ words }) => `-A ${chain} ${words}`), ...more, 'COMMIT'];
}

const removed = `-X ${chain}`;
const removal = tables.flatMap((table) => change(table, [], removed));

const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');
