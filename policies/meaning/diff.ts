import { writtenPlace } from '#policies/language/address.ts';
import { writtenSubject, writtenTarget } from '#policies/language/format-statement.ts';
import type { Subject } from '#policies/language/statement.ts';
import { type Access, writtenInterval } from './access.ts';
import { type Box, BoxIndex } from './boxes.ts';
import { Openings } from './openings.ts';
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
  /**
   * Those whose access changes in the same way, together. Someone whom a line names stands with the others of the role,
   * and once more with what those lines change; a device with what lines for that one change.
   */
  readonly changes: readonly Changes[];
  readonly words: readonly string[];
}

interface Changes {
  readonly who: readonly string[];
  readonly given: readonly Change[];
  readonly taken: readonly Change[];
}

/**
 * What a new document gives and takes, by user and target, before it is applied. Compared is what is open and not how it
 * is written: a line moved or said in another way is no change.
 */
export function diff(before: World, after: World, now: number): AccessDiff {
  const comparison = new Comparison(before, after, now);
  const devices = namedDevices(before, after);
  const groups = new Map<string, { who: string[]; given: readonly Change[]; taken: readonly Change[] }>();
  const say = (who: readonly string[], { given, taken }: Difference) => {
    if (who.length === 0 || given.length + taken.length === 0) return;
    const key = JSON.stringify([given, taken]);
    const same = groups.get(key);
    if (same === undefined) groups.set(key, { who: [...who], given, taken });
    else same.who.push(...who);
  };

  for (const [role, users] of Map.groupBy(after.roster.users, (user) => user.role)) {
    const ofRole: Both = [{ roles: before.rolesOf(role) }, { roles: after.rolesOf(role) }];
    const shared = comparison.whole(ofRole);
    const alike: string[] = [];
    const apart: [string, Difference][] = [];
    for (const { email } of users) {
      const user = ofRole.map((principal): Principal => ({ ...principal, email })) as [Principal, Principal];
      const own = comparison.own(user, { kind: 'user', email }, [shared]);
      if (own.isAdded) alike.push(email);
      apart.push([email, own]);
      for (const device of devices.get(email) ?? []) {
        const one = user.map((principal): Principal => ({ ...principal, device })) as [Principal, Principal];
        const ofDevice = comparison.own(one, { kind: 'device', email, device }, own.isAdded ? [shared, own] : [own]);
        apart.push([`device:${email}/${device}`, ofDevice]);
      }
    }
    say(alike, shared);
    for (const [who, difference] of apart) say([who], difference);
  }
  const changes = [...groups.values()];
  return { changes, words: changes.length === 0 ? ['Nobody gains or loses access.'] : changes.flatMap(inWords) };
}

/** The devices that a line of either document names, by their user. */
function namedDevices(...worlds: readonly World[]): ReadonlyMap<string, ReadonlySet<string>> {
  const devices = new Map<string, Set<string>>();
  for (const { subjects } of worlds.flatMap(({ allows }) => allows))
    for (const { value } of subjects)
      if (value.kind === 'device') devices.set(value.email, (devices.get(value.email) ?? new Set()).add(value.device));
  return devices;
}

/** Someone, as both worlds know them. */
type Both = readonly [before: Principal, after: Principal];

interface Difference {
  readonly given: readonly Change[];
  readonly taken: readonly Change[];
  /** Exactly what differs. */
  readonly pieces: BoxIndex<Box>;
}

/** Two worlds side by side. Most people have the access of their role alone, which is compared once for all of them. */
class Comparison {
  readonly #worlds: readonly [World, World];
  readonly #openings: readonly [Openings, Openings];
  readonly #now: number;

  constructor(before: World, after: World, now: number) {
    this.#worlds = [before, after];
    this.#openings = [new Openings(before, now), new Openings(after, now)];
    this.#now = now;
  }

  /** All that changes for someone. */
  whole([before, after]: Both): Difference {
    const [old, fresh] = this.#openings;
    return this.#difference([before, after], old.of(before), fresh.of(after));
  }

  /**
   * What the lines that name someone change, added to what changes for them anyway (`others`). Where the two meet they
   * cannot be told apart, and it is all that changes: then `isAdded` is false.
   */
  own(both: Both, subject: Subject, others: readonly Difference[]): Difference & { readonly isAdded: boolean } {
    const [old = [], fresh = []] = this.#worlds.map(({ allowsBySubject }, i) =>
      this.#openings[i]?.byLines(allowsBySubject.get(writtenSubject(subject)) ?? []),
    );
    const meets = [...old, ...fresh].some(({ box }) => others.some(({ pieces }) => pieces.meeting(box).length > 0));
    if (meets) return { ...this.whole(both), isAdded: false };
    return { ...this.#difference(both, old, fresh), isAdded: true };
  }

  #difference([before, after]: Both, old: readonly Access[], fresh: readonly Access[]): Difference {
    const [openBefore, openAfter] = this.#openings;
    const given = changesOf(fresh, (box) => openBefore.closed(before, box), this.#now);
    const taken = changesOf(old, (box) => openAfter.closed(after, box), this.#now);
    const pieces = new BoxIndex(
      [...given, ...taken].flatMap(({ left }) => left),
      (box) => box,
    );
    return { given: given.map(({ change }) => change), taken: taken.map(({ change }) => change), pieces };
  }
}

/** What of these accesses is left when what is not closed is taken away, by line and target. */
function changesOf(
  these: readonly Access[],
  closed: (box: Box) => Box[],
  now: number,
): { change: Change; left: readonly Box[] }[] {
  const byChange = new Map<string, { of: Access; left: Box[]; whole: Box[] }>();
  for (const access of these) {
    const { box, target, line } = access;
    if (line === undefined) continue;
    const left = closed(box);
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
    .map(({ of, left, whole }) => ({ change: changeOf(of, left, whole, now), left }));
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
