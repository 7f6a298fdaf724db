import type { Chain, Firewall, Hook } from '#policies/compile/firewall.ts';
import { renderRule } from '#policies/compile/render.ts';
import type { SetStep } from '../formats/ipset-save.ts';
import type { SavedRules, SavedTable, TableChange } from '../formats/iptables-save.ts';
import { type ObservedSet, planSets } from './sets.ts';

export type Family = 'ipv4' | 'ipv6';

/** `ipv6` is absent where the kernel has no IPv6: nothing can come in by it. */
export type ObservedFirewall = {
  sets: readonly ObservedSet[];
  rules: { ipv4: SavedRules; ipv6: SavedRules | undefined };
};

export type DesiredFirewall = Pick<Firewall, 'sets' | 'chains' | 'hooks'>;

/** One transaction of one family: the kernel takes each table as a whole or not at all. */
export type RestoreStep = { kind: 'restore-rules'; family: Family; changes: readonly TableChange[] };

export type FirewallStep = SetStep | RestoreStep;

/**
 * The steps to the desired firewall in three parts. `shrink` takes elements out of sets, `rules` replaces the rules,
 * `widen` puts elements in. At no moment between is anything open that neither the observed nor the desired firewall
 * allows, and nothing is closed that both allow: sets that new rules need are made and filled before, and those that
 * nothing needs any more go after. Peers that lose an address must do so before `rules`, peers that gain one after `widen`.
 */
export type FirewallPlan = {
  shrink: readonly SetStep[];
  rules: readonly FirewallStep[];
  widen: readonly SetStep[];
};

export const noFirewall: DesiredFirewall = { sets: [], chains: [], hooks: [] };

const ourChain = /^POSTERN-/;
/**
 * Where packets are sent and what address they carry there comes before what may pass: by itself it opens nothing, and
 * a flow that began before it would keep the wrong address for its whole life.
 */
const tableOrder = ['raw', 'nat', 'mangle', 'filter'];

/** @throws SetConflict */
export function planFirewall(observed: ObservedFirewall, desired: DesiredFirewall, now: number): FirewallPlan {
  const sets = planSets(observed.sets, desired.sets, now);
  return {
    shrink: sets.shrink,
    rules: [...sets.create, ...planRules(observed, desired), ...sets.destroy],
    widen: sets.widen,
  };
}

function planRules(observed: ObservedFirewall, desired: DesiredFirewall): readonly RestoreStep[] {
  // IPv6 first: its rules never open anything, so it costs nothing to have them before the others.
  return (['ipv6', 'ipv4'] as const).flatMap((family): readonly RestoreStep[] => {
    const rules = observed.rules[family];
    if (rules === undefined) return [];
    const isOurs = ({ family: wanted }: { family: 4 | 6 }) => wanted === (family === 'ipv4' ? 4 : 6);
    const chains = desired.chains.filter(isOurs);
    const hooks = desired.hooks.filter(isOurs);
    const tables = [...new Set([...rules.keys(), ...chains.map((chain) => chain.table)])].sort(
      (a, b) => tableOrder.indexOf(a) - tableOrder.indexOf(b),
    );
    const changes = tables.flatMap((table) =>
      planTable(
        table,
        rules.get(table) ?? new Map(),
        chains.filter((chain) => chain.table === table),
        hooks.filter((hook) => hook.table === table),
      ),
    );
    return changes.length === 0 ? [] : [{ kind: 'restore-rules', family, changes }];
  });
}

function planTable(
  table: string,
  observed: SavedTable,
  wantedChains: readonly Chain[],
  wantedHooks: readonly Hook[],
): readonly TableChange[] {
  const hooks = wantedHooks.filter(({ from, ifPresent }) => ifPresent !== true || observed.has(from));
  // A table that we would only follow others into is not made for us alone.
  const desired = wantedHooks.length > 0 && hooks.length === 0 ? [] : wantedChains;
  const desiredNames = new Set(desired.map((chain) => chain.name));
  const chains = desired
    .map(({ name, rules }) => ({ name, rules: rules.map(renderRule) }))
    .filter(({ name, rules }) => !sameRules(observed.get(name), rules));
  const removedChains = [...observed.keys()].filter((name) => ourChain.test(name) && !desiredNames.has(name));

  const misplaced = hooks.filter((hook) => !jumpsFirst(observed, hook));
  const standing = new Map(hooks.filter((hook) => !misplaced.includes(hook)).map(({ from, to }) => [from, to]));
  const deletions = [...observed].flatMap(([chain, rules]) =>
    ourChain.test(chain)
      ? []
      : rules
          .filter((rule, place) => {
            const target = /-[jg] (POSTERN-\S+)$/.exec(rule)?.[1];
            return target !== undefined && !(place === 0 && standing.get(chain) === target);
          })
          .map((rule) => ({ chain, rule })),
  );
  const jumps = misplaced.map(({ from, to }) => ({ hook: from, chain: to }));
  if (chains.length + removedChains.length + jumps.length + deletions.length === 0) return [];
  return [{ table, deletions, chains, jumps, removedChains }];
}

function jumpsFirst(observed: SavedTable, { from, to }: Hook): boolean {
  const jump = `-j ${to}`;
  const rules = observed.get(from) ?? [];
  return rules[0] === jump && rules.filter((rule) => rule === jump).length === 1;
}

function sameRules(observed: readonly string[] | undefined, desired: readonly string[]): boolean {
  return observed?.length === desired.length && desired.every((rule, place) => rule === observed[place]);
}
