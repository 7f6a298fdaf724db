import type { Dice } from './dice.ts';
import type { Chain, Firewall, IpSet, Match, Rule } from './firewall.ts';

/** Small changes of a compiled firewall, for tests that ask whether anyone would notice. */

/** Undefined where this firewall offers no place for the change. */
export type Change = (firewall: Firewall, dice: Dice) => Firewall | undefined;

export type Chosen = (rule: Rule, chain: Chain) => boolean;

export const isGrant: Chosen = ({ target, comment }) => target.kind === 'ACCEPT' && /r\d+ line /.test(comment);
export const named =
  (text: string): Chosen =>
  (rule) =>
    rule.comment.includes(text);
export const inChain =
  (name: string, also: Chosen = () => true): Chosen =>
  (rule, chain) =>
    chain.name === name && chain.family === 4 && also(rule, chain);

/** Changes one of the rules that are chosen, or all; `undefined` takes it out. */
export function change(which: 'one' | 'all', chosen: Chosen, how: (rule: Rule) => Rule | undefined): Change {
  return (firewall, dice) => {
    const found = firewall.chains.flatMap((chain) => chain.rules.filter((rule) => chosen(rule, chain)));
    if (found.length === 0) return undefined;
    const wanted = which === 'all' ? new Set(found) : new Set([dice.pick(found)]);
    const chains = firewall.chains.map((chain) => ({
      ...chain,
      rules: chain.rules.flatMap((rule) => (wanted.has(rule) ? (how(rule) ?? []) : rule)),
    }));
    return { ...firewall, chains };
  };
}

export const remove = () => undefined;
export const withoutMatch =
  (...keys: (keyof Match)[]) =>
  (rule: Rule): Rule => ({
    ...rule,
    match: Object.fromEntries(Object.entries(rule.match).filter(([key]) => !keys.includes(key as keyof Match))),
  });
export const withSets =
  (how: (sets: NonNullable<Match['sets']>) => NonNullable<Match['sets']>) =>
  (rule: Rule): Rule => ({
    ...rule,
    match: { ...rule.match, sets: how(rule.match.sets ?? []) },
  });

export function changeSet(chosen: (set: IpSet) => boolean, how: (set: IpSet) => IpSet): Change {
  return (firewall, dice) => {
    const found = firewall.sets.filter(chosen);
    if (found.length === 0) return undefined;
    const wanted = dice.pick(found);
    return { ...firewall, sets: firewall.sets.map((set) => (set === wanted ? how(set) : set)) };
  };
}

export function reorder(chain: string, first: Chosen, second: Chosen): Change {
  return (firewall) => ({
    ...firewall,
    chains: firewall.chains.map((one) => {
      if (one.name !== chain || one.family !== 4) return one;
      const moved = one.rules.filter((rule) => second(rule, one) && !first(rule, one));
      const rest = one.rules.filter((rule) => !moved.includes(rule));
      return { ...one, rules: [...moved, ...rest] };
    }),
  });
}

export const wider = (ports: Match['destinationPorts']) =>
  ports?.map(({ first, last }) => ({ first: Math.max(1, first - 1), last: last + 1 }));
