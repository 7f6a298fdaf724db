import type { Chain, DesiredFirewall } from '#policies/desired/firewall.ts';
import { type SavedSet, type SetStep, setType } from '../formats/ipset-save.ts';
import { renderRule, type SavedRules, type SavedTable, type TableChange } from '../formats/iptables-save.ts';

export type Family = Chain['family'];

/** `ipv6` is absent where the kernel has no IPv6: nothing can come in by it. */
export type ObservedFirewall = {
  sets: readonly SavedSet[];
  rules: { ipv4: SavedRules; ipv6: SavedRules | undefined };
};

/** One transaction of one family: the kernel takes all of it or nothing. */
export type RestoreStep = { kind: 'restore-rules'; family: Family; changes: readonly TableChange[] };

export type FirewallStep = SetStep | RestoreStep;

/**
 * The steps to the desired firewall in three parts. `shrink` takes addresses out of sets, `rules` replaces the rules,
 * `widen` puts addresses in. At no moment between is anything open that neither the observed nor the desired firewall
 * allows; peers that lose an address must do so before `rules`, peers that gain one after `widen`.
 */
export type FirewallPlan = {
  shrink: readonly SetStep[];
  rules: readonly FirewallStep[];
  widen: readonly SetStep[];
};

/** A set of ours exists in a form that rules of ours cannot use. Only a person can say whose it is. */
export class SetConflict extends Error {
  override readonly name = 'SetConflict';
  readonly code = 'set-conflict';

  constructor(set: string, type: string) {
    super(`the ipset ${set} exists but is of type "${type}"; if nothing else uses it, remove it: ipset destroy ${set}`);
  }
}

const ourChain = /^POSTERN-/;
const ourSet = /^postern-/;

/** @throws SetConflict */
export function planFirewall(observed: ObservedFirewall, desired: DesiredFirewall): FirewallPlan {
  const setsByName = new Map(observed.sets.map((set) => [set.name, set]));
  for (const { name } of desired.sets) {
    const set = setsByName.get(name);
    if (set !== undefined && !isFit(set)) throw new SetConflict(name, `${set.type} ${set.options}`);
  }
  const desiredNames = new Set(desired.sets.map((set) => set.name));

  const creations = desired.sets
    .filter(({ name }) => !setsByName.has(name))
    .map(({ name }): SetStep => ({ kind: 'create-set', set: name }));
  const removals = desired.sets.flatMap(({ name, addresses }) => {
    const wanted = new Set<string>(addresses);
    const entries = (setsByName.get(name)?.entries ?? []).map((entry) => entry.split(' ', 1)[0] ?? entry);
    return entries
      .filter((entry) => !wanted.has(entry))
      .map((entry): SetStep => ({ kind: 'remove-address', set: name, entry }));
  });
  const additions = desired.sets.flatMap(({ name, addresses }) => {
    const present = new Set(setsByName.get(name)?.entries);
    return addresses
      .filter((address) => !present.has(address))
      .map((address): SetStep => ({ kind: 'add-address', set: name, address }));
  });
  const destructions = observed.sets
    .filter(({ name }) => ourSet.test(name) && !desiredNames.has(name))
    .map(({ name }): SetStep => ({ kind: 'destroy-set', set: name }));

  return {
    shrink: removals,
    rules: [...creations, ...planRules(observed, desired), ...destructions],
    widen: additions,
  };
}

function isFit({ type, options }: SavedSet): boolean {
  return type === setType && options.startsWith('family inet ') && !/\b(timeout|netmask|skbinfo)\b/.test(options);
}

function planRules(observed: ObservedFirewall, desired: DesiredFirewall): readonly RestoreStep[] {
  // IPv6 first: its rules never open anything, so it costs nothing to have them before the others.
  return (['ipv6', 'ipv4'] as const).flatMap((family): readonly RestoreStep[] => {
    const rules = observed.rules[family];
    if (rules === undefined) return [];
    const chains = desired.chains.filter((chain) => chain.family === family);
    const tables = new Set([...rules.keys(), ...chains.map((chain) => chain.table)]);
    const changes = [...tables].flatMap((table) =>
      planTable(
        table,
        rules.get(table) ?? new Map(),
        chains.filter((chain) => chain.table === table),
      ),
    );
    return changes.length === 0 ? [] : [{ kind: 'restore-rules', family, changes }];
  });
}

function planTable(table: string, observed: SavedTable, desired: readonly Chain[]): readonly TableChange[] {
  const desiredNames = new Set(desired.map((chain) => chain.name));
  const chains = desired
    .map(({ name, rules }) => ({ name, rules: rules.map(renderRule) }))
    .filter(({ name, rules }) => !sameRules(observed.get(name), rules));
  const removedChains = [...observed.keys()].filter((name) => ourChain.test(name) && !desiredNames.has(name));

  const misplaced = desired.filter((chain) => !jumpsFirst(observed, chain));
  const jumps = misplaced.map(({ hook, name }) => ({ hook, chain: name }));
  const gone = new Set([...removedChains, ...misplaced.map((chain) => chain.name)]);
  const kept = new Map(desired.filter((chain) => !gone.has(chain.name)).map((chain) => [chain.name, chain]));
  const deletions = [...observed].flatMap(([chain, rules]) =>
    ourChain.test(chain)
      ? []
      : rules
          .filter((rule, place) => {
            const target = /-[jg] (POSTERN-\S+)$/.exec(rule)?.[1];
            if (target === undefined) return false;
            return gone.has(target) || !(place === 0 && kept.get(target)?.hook === chain);
          })
          .map((rule) => ({ chain, rule })),
  );
  if (chains.length + removedChains.length + jumps.length + deletions.length === 0) return [];
  return [{ table, deletions, chains, jumps, removedChains }];
}

function jumpsFirst(observed: SavedTable, { hook, name }: Chain): boolean {
  const jump = `-j ${name}`;
  const rules = observed.get(hook) ?? [];
  return rules[0] === jump && rules.filter((rule) => rule === jump).length === 1;
}

function sameRules(observed: readonly string[] | undefined, desired: readonly string[]): boolean {
  return observed?.length === desired.length && desired.every((rule, place) => rule === observed[place]);
}
