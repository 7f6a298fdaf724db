import { writtenPlace } from '#policies/language/address.ts';
import { writtenTarget } from '#policies/language/format-statement.ts';
import { statementsOf } from '#policies/language/statement.ts';
import { type Access, accessOf, writtenInterval } from './access.ts';
import { type Box, subtract } from './boxes.ts';
import { cidrsOf, union } from './region.ts';
import type { Principal, World } from './world.ts';

/** Access by one line that one policy gives and the other does not. */
export interface Change {
  /** As the line names it. */
  readonly target: string;
  readonly line: number;
  /** From when to when it differs, where that is not from now on and without an end. */
  readonly from: string | null;
  readonly until: string | null;
  /** Exactly what differs, the largest first. More than one piece: other lines open some of the target. */
  readonly pieces: readonly Piece[];
}

export interface Piece {
  /** Empty where it is the whole target, or the target is no place of addresses. */
  readonly addresses: readonly string[];
  readonly ports: readonly string[];
}

export interface AccessDiff {
  /** Those whose access changes in the same way, together. A device stands here when a line names it alone. */
  readonly changes: readonly {
    readonly who: readonly string[];
    readonly given: readonly Change[];
    readonly taken: readonly Change[];
  }[];
  readonly words: readonly string[];
}

/**
 * What a new document gives and takes, by user and target, before it is applied. Compared is what is open and not how it
 * is written: a line moved or said in another way is no change.
 */
export function diff(before: World, after: World, now: number): AccessDiff {
  const changes = new Map<string, { who: string[]; given: Change[]; taken: Change[] }>();
  for (const { names, principals } of everybody(before, after)) {
    const old = accessOf(before, principals[0], now);
    const fresh = accessOf(after, principals[1], now);
    const given = difference(fresh, old, now);
    const taken = difference(old, fresh, now);
    if (given.length + taken.length === 0) continue;
    const key = JSON.stringify([given, taken]);
    const same = changes.get(key);
    if (same === undefined) changes.set(key, { who: names, given, taken });
    else same.who.push(...names);
  }
  const all = [...changes.values()];
  return { changes: all, words: all.length === 0 ? ['Nobody gains or loses access.'] : all.flatMap(inWords) };
}

/** People with one role and no line of their own have the same access, and are compared once. */
function* everybody(before: World, after: World): Generator<{ names: string[]; principals: [Principal, Principal] }> {
  const named = new Set<string>();
  const devices = new Map<string, { email: string; device: string }>();
  for (const { subjects } of [before, after].flatMap(({ document }) => statementsOf(document, 'allow')))
    for (const { value } of subjects) {
      if (value.kind === 'user') named.add(value.email);
      if (value.kind === 'device') devices.set(JSON.stringify([value.email, value.device]), value);
    }
  const principal = (world: World, email: string, role: string, device?: string): Principal => ({
    email,
    roles: world.rolesOf(role),
    ...(device === undefined ? {} : { device }),
  });
  const byRole = new Map<string, string[]>();
  for (const { email, role } of after.roster.users) {
    if (named.has(email))
      yield { names: [email], principals: [principal(before, email, role), principal(after, email, role)] };
    else byRole.set(role, [...(byRole.get(role) ?? []), email]);
  }
  for (const [role, names] of byRole)
    yield { names, principals: [{ roles: before.rolesOf(role) }, { roles: after.rolesOf(role) }] };
  const roleOf = new Map(after.roster.users.map(({ email, role }) => [email, role]));
  for (const { email, device } of devices.values()) {
    const role = roleOf.get(email);
    if (role === undefined) continue;
    const [old, fresh] = [principal(before, email, role, device), principal(after, email, role, device)];
    yield { names: [`device:${email}/${device}`], principals: [old, fresh] };
  }
}

/** What `these` open that `those` do not. */
function difference(these: readonly Access[], those: readonly Access[], now: number): Change[] {
  const key = ({ place, addresses, ports, time }: Box) => `${place} ${addresses} ${ports} ${time}`;
  const known = new Set(those.map(({ box }) => key(box)));
  const byPlace = new Map<string, Box[]>();
  for (const { box } of those) {
    const boxes = byPlace.get(box.place);
    if (boxes === undefined) byPlace.set(box.place, [box]);
    else boxes.push(box);
  }
  const byChange = new Map<string, { of: Access; left: Box[]; whole: Box[] }>();
  for (const access of these) {
    const { box, target, line } = access;
    if (line === undefined) continue;
    const left = known.has(key(box)) ? [] : subtract(box, byPlace.get(box.place) ?? []);
    const times = left.length === 0 ? [box.time] : [...new Map(left.map(({ time }) => [String(time), time])).values()];
    for (const time of times) {
      const id = `${line} ${writtenTarget(target)} ${time}`;
      const change = byChange.get(id) ?? { of: { ...access, box: { ...box, time } }, left: [], whole: [] };
      change.left.push(...left.filter((part) => String(part.time) === String(time)));
      change.whole.push(box);
      byChange.set(id, change);
    }
  }
  return [...byChange.values()]
    .filter(({ left }) => left.length > 0)
    .map(({ of, left, whole }) => changeOf(of, left, whole, now));
}

function changeOf({ box, target, line = 0 }: Access, left: readonly Box[], whole: readonly Box[], now: number): Change {
  const everywhere = cidrsOf(union(whole.map(({ addresses }) => addresses))).join();
  const regions = new Map<string, Box[]>();
  for (const part of left)
    regions.set(`${part.place} ${part.ports}`, [...(regions.get(`${part.place} ${part.ports}`) ?? []), part]);
  const pieces = new Map<string, Piece & { ports: string[]; readonly size: number }>();
  for (const parts of regions.values()) {
    const cidrs = cidrsOf(union(parts.map(({ addresses }) => addresses)));
    const [first] = parts;
    if (first === undefined) continue;
    const addresses = first.place !== 'network' || cidrs.join() === everywhere ? [] : cidrs.map(writtenPlace);
    const same = pieces.get(addresses.join());
    if (same === undefined) pieces.set(addresses.join(), { addresses, ports: portsOf(first), size: sizeOf(parts) });
    else same.ports.push(...portsOf(first));
  }
  const [from, last] = box.time;
  return {
    target: writtenTarget(target),
    line,
    from: from <= now ? null : new Date(from).toISOString(),
    until: last === Infinity ? null : new Date(last + 1).toISOString(),
    pieces: [...pieces.values()].sort((a, b) => b.size - a.size).map(({ addresses, ports }) => ({ addresses, ports })),
  };
}

function sizeOf(boxes: readonly Box[]): number {
  return boxes.reduce((sum, { addresses }) => sum + addresses[1] - addresses[0] + 1, 0);
}

function portsOf({ ports, place }: Box): string[] {
  const node = place.startsWith('node:') ? ` on ${place.slice('node:'.length)}` : '';
  return writtenInterval(ports).map((port) => `${port}${node}`);
}

const shownPeople = 5;

function inWords({ who, given, taken }: AccessDiff['changes'][number]): string[] {
  const others = who.length - shownPeople;
  const names = `${who.slice(0, shownPeople).join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
  return [
    `${names}:`,
    ...given.map((change) => `  + ${changeInWords(change)}`),
    ...taken.map((change) => `  - ${changeInWords(change)}`),
  ];
}

function changeInWords({ target, pieces, from, until, line }: Change): string {
  const when = `${from === null ? '' : ` from ${from}`}${until === null ? '' : ` until ${until}`}`;
  const [only] = pieces;
  const where =
    pieces.length > 1 || only === undefined || only.addresses.length === 0
      ? target
      : `${target} (${addressesInWords(only)})`;
  const ports = (only?.ports ?? []).join(', ');
  const except = pieces.length > 1 ? ', but for what other lines open' : '';
  return `${where} ${ports}${when}${except}  (line ${line})`;
}

function addressesInWords({ addresses }: Piece): string {
  if (addresses.length <= 4) return addresses.join(', ');
  return `${addresses.slice(0, 3).join(', ')} and ${addresses.length - 3} more`;
}
