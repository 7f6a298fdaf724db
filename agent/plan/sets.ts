import type { IpSet } from '#policies/compile/firewall.ts';
import { longestTimeout, setDefinition } from '#policies/compile/render.ts';
import type { SavedSet, SetStep } from '../formats/ipset-save.ts';

/** A set as it was seen; ends are moments (Unix milliseconds), so that they stay true while time goes on. */
export type ObservedSet = Omit<SavedSet, 'elements'> & { elements: ReadonlyMap<string, number | undefined> };

/** What the kernel says was seen at `now`, with moments for seconds. */
export function observedSet(saved: SavedSet, now: number): ObservedSet {
  const elements = [...saved.elements].map(
    ([element, seconds]) => [element, seconds === undefined ? undefined : now + seconds * 1000] as const,
  );
  return { ...saved, elements: new Map(elements) };
}

/** A set of ours exists in a form that rules of ours cannot use. Only a person can say whose it is. */
export class SetConflict extends Error {
  override readonly name = 'SetConflict';
  readonly code = 'set-conflict';

  constructor({ name, type, options }: Pick<ObservedSet, 'name' | 'type' | 'options'>) {
    const shown = `${type} ${options}`;
    super(
      `the ipset ${name} exists but is of type "${shown}"; if nothing else uses it, remove it: ipset destroy ${name}`,
    );
  }
}

export type SetPlan = {
  /** Takes elements out of sets that stay, and ends sooner what would end too late. */
  shrink: readonly SetStep[];
  /** Makes the sets that are missing and fills them, before any rule names them. */
  create: readonly SetStep[];
  /** Puts elements into sets that stay, and ends later what would end too soon. */
  widen: readonly SetStep[];
  /** Takes sets away that no rule names any more; a list before those it is made of. */
  destroy: readonly SetStep[];
};

const ourSet = /^postern-/;

/** @throws SetConflict */
export function planSets(observed: readonly ObservedSet[], desired: readonly IpSet[], now: number): SetPlan {
  const present = new Map(observed.map((set) => [set.name, set]));
  const wanted = new Set(desired.map(({ name }) => name));
  const plan = { shrink: [] as SetStep[], create: [] as SetStep[], widen: [] as SetStep[] };
  for (const set of desired) {
    const known = present.get(set.name);
    const elements = liveNow(set, now);
    if (known === undefined) {
      plan.create.push({ kind: 'create-set', set: set.name, definition: setDefinition(set) });
      for (const [element, until] of elements) plan.create.push(addition(set.name, element, until));
      continue;
    }
    if (!isFit(known, set)) throw new SetConflict(known);
    const runsOut = new Set(set.elements.filter(({ until }) => until !== undefined).map(({ element }) => element));
    for (const [element, end] of known.elements)
      if (!elements.has(element) && runsOut.has(element) && end !== undefined && end <= now + slackMs) continue;
      else if (!elements.has(element)) plan.shrink.push({ kind: 'remove-element', set: set.name, element });
      else if (endsLater(end, elements.get(element)))
        plan.shrink.push(addition(set.name, element, elements.get(element)));
    for (const [element, until] of elements)
      if (!known.elements.has(element) || endsSooner(known.elements.get(element), until, now))
        plan.widen.push(addition(set.name, element, until));
  }
  const destroy = observed
    .filter(({ name }) => ourSet.test(name) && !wanted.has(name))
    .map(({ name }): SetStep => ({ kind: 'destroy-set', set: name }))
    .reverse();
  return { ...plan, destroy };
}

/** What a set holds at `now`; an element with less than a whole second left is over. */
function liveNow({ elements }: IpSet, now: number): ReadonlyMap<string, number | undefined> {
  const live = elements.filter(({ until }) => until === undefined || until - now >= 1000);
  return new Map(live.map(({ element, until }) => [element, until]));
}

/** The kernel tells whole seconds, and up to a second passes between its word and our note of it. */
const slackMs = 2_000;
/** An element whose end is too far away for the kernel gets the longest timeout there is, anew once a day. */
const renewAfterMs = 86_400_000;

function endsLater(observed: number | undefined, desired: number | undefined): boolean {
  if (desired === undefined) return false;
  return observed === undefined || observed > desired + slackMs;
}

function endsSooner(observed: number | undefined, desired: number | undefined, now: number): boolean {
  if (observed === undefined) return false;
  if (desired === undefined) return true;
  const furthest = now + longestTimeout * 1000;
  return desired <= furthest ? observed < desired - slackMs - 1000 : observed < furthest - renewAfterMs;
}

function isFit({ type, options }: ObservedSet, set: IpSet): boolean {
  const hasTimeouts = /\btimeout\b/.test(options);
  const isInet = set.type === 'list:set' || options.startsWith('family inet ');
  return type === set.type && isInet && hasTimeouts === set.timeouts && !/\b(netmask|skbinfo|counters)\b/.test(options);
}

function addition(set: string, element: string, until: number | undefined): SetStep {
  return { kind: 'add-element', set, element, ...(until === undefined ? {} : { until }) };
}
