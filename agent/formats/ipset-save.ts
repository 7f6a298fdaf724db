import type { Ipv4 } from '#contract/network.ts';

/** A set as the kernel has it; `options` is the text after its type, such as `family inet hashsize 1024`. */
export type SavedSet = { name: string; type: string; options: string; entries: readonly string[] };

/**
 * Reads `ipset save`.
 *
 * @throws SyntaxError on any line it does not know.
 */
export function parseIpsetSave(text: string): readonly SavedSet[] {
  const sets = new Map<string, { name: string; type: string; options: string; entries: string[] }>();
  for (const line of text.split('\n').filter((candidate) => candidate !== '')) {
    const [, verb, name = '', rest = ''] = /^(create|add) (\S+) (.+)$/.exec(line) ?? [];
    if (verb === 'create') {
      const [type = '', ...options] = rest.split(' ');
      sets.set(name, { name, type, options: options.join(' '), entries: [] });
    } else {
      const set = sets.get(name);
      if (verb !== 'add' || set === undefined) throw new SyntaxError(`ipset save: cannot read "${line}"`);
      set.entries.push(rest);
    }
  }
  return [...sets.values()];
}

export type SetStep =
  | { kind: 'create-set'; set: string }
  | { kind: 'destroy-set'; set: string }
  | { kind: 'add-address'; set: string; address: Ipv4 }
  | { kind: 'remove-address'; set: string; entry: string };

export const setType = 'hash:ip';
/** Far above any pool, since the kernel refuses the first address over it. Memory is taken only as the set fills. */
export const setOptions = 'family inet maxelem 1048576';

/** For `ipset restore`. Adding what is there and removing what is not are no errors (`-exist`). */
export function renderIpsetRestore(steps: readonly SetStep[]): string {
  return steps.map((step) => `${renderStep(step)}\n`).join('');
}

function renderStep(step: SetStep): string {
  switch (step.kind) {
    case 'create-set':
      return `create ${step.set} ${setType} ${setOptions} -exist`;
    case 'destroy-set':
      return `destroy ${step.set}`;
    case 'add-address':
      return `add ${step.set} ${step.address} -exist`;
    case 'remove-address':
      return `del ${step.set} ${step.entry} -exist`;
  }
}
