import type { Ipv4 } from '#contract/network.ts';
import { writtenPlace } from '#policies/language/address.ts';
import { writtenSubject } from '#policies/language/format-statement.ts';
import type { Subject } from '#policies/language/statement.ts';
import { cidrsOf, type Region } from '#policies/meaning/region.ts';
import { type Principal, subjectMatches, type World } from '#policies/meaning/world.ts';
import type { Element, IpSet, Match, SetMatch } from './firewall.ts';
import type { Grant, Grantee } from './grants.ts';

/** The longest name a set may have. */
const longestName = 31;

/**
 * The sets of one node. Which sets there are, and of what type, follows from the document alone; users and devices only
 * fill them, so a change of membership is an `add` or a `del` in place.
 */
export class Sets {
  readonly #world: World;
  readonly #prefix: string;
  readonly #sets = new Map<string, IpSet>();
  readonly #roles = new Map<string, string>();
  readonly #byContent = new Map<string, string>();
  readonly #devicesByEmail = new Map<string, [Ipv4, Principal][]>();
  readonly members: string;
  readonly fronts: string;

  constructor(world: World, revision: number) {
    this.#world = world;
    this.#prefix = `postern-${revision}-`;
    for (const [address, device] of world.devices) {
      const known = this.#devicesByEmail.get(device.email ?? '');
      if (known === undefined) this.#devicesByEmail.set(device.email ?? '', [[address, device]]);
      else known.push([address, device]);
    }
    this.members = this.#add(
      'members',
      'hash:ip',
      [...world.devices.keys()].map((element) => ({ element })),
    );
    this.fronts = this.#add(
      'fronts',
      'hash:ip',
      [...world.fronts.keys()].map((element) => ({ element })),
    );
  }

  /** All sets, each after those it is made of. */
  get all(): readonly IpSet[] {
    return [...this.#sets.values()];
  }

  /** Matches a packet whose source (or, for what comes back, destination) is granted it. */
  matchOf(grant: Grant, side: 'src' | 'dst' = 'src'): SetMatch {
    const key = `who ${JSON.stringify([...grant.subjects].sort())}`;
    const name = this.#byContent.get(key) ?? this.#setOf([...grant.subjects.values()]);
    this.#byContent.set(key, name);
    return { name, side };
  }

  /** Matches a packet to (or, for what comes back, from) these addresses: a subnet needs no set, more share one. */
  placeMatch(region: Region, side: 'src' | 'dst' = 'dst'): Pick<Match, 'source' | 'destination' | 'sets'> {
    const [only, ...others] = cidrsOf(region);
    if (only !== undefined && others.length === 0) return side === 'src' ? { source: only } : { destination: only };
    return { sets: [{ name: this.#regionSet(region), side }] };
  }

  #regionSet(region: Region): string {
    const cidrs = cidrsOf(region).map(writtenPlace);
    return this.#shared(`net ${cidrs}`, () =>
      this.#add(
        this.#next('d'),
        'hash:net',
        cidrs.map((element) => ({ element })),
      ),
    );
  }

  /** The addresses of these fronts, as far as they have one. */
  frontSet(services: readonly string[]): string {
    const addresses = services.flatMap((service) => this.#world.frontAddresses.get(service) ?? []);
    return this.#shared(`front ${[...services].sort()}`, () =>
      this.#add(
        this.#next('f'),
        'hash:ip',
        addresses.map((element) => ({ element })),
      ),
    );
  }

  /** A grant to one endless role is that role's set; any other has a list of its own. */
  #setOf(grantees: readonly Grantee[]): string {
    if (grantees.some(({ subject, until }) => subject.kind === 'everyone' && until === undefined)) return this.members;
    const [only] = grantees;
    if (grantees.length === 1 && only?.until === undefined && only?.subject.kind === 'role')
      return this.#roleSet(only.subject.role);
    const people = grantees.filter(({ subject }) => subject.kind === 'user' || subject.kind === 'device');
    const groups = grantees.filter(({ subject }) => subject.kind === 'role' || subject.kind === 'everyone');
    const peopleSet = people.length === 0 ? [] : [{ element: this.#peopleSet(people) }];
    const [onlyPeople] = peopleSet;
    if (groups.length === 0 && onlyPeople !== undefined) return onlyPeople.element;
    const elements = [
      ...groups.map(({ subject, until }) => ({
        element: this.#groupSet(subject),
        ...(until === undefined ? {} : { until }),
      })),
      ...peopleSet,
    ];
    return this.#add(this.#next('g'), 'list:set', elements, isTimed(groups));
  }

  #peopleSet(people: readonly Grantee[]): string {
    const key = `people ${people.map(({ subject, until }) => `${writtenSubject(subject)} ${until ?? ''}`).sort()}`;
    return this.#shared(key, () => this.#add(this.#next('p'), 'hash:ip', this.#devicesOf(people), isTimed(people)));
  }

  #groupSet(subject: Subject): string {
    return subject.kind === 'role' ? this.#roleSet(subject.role) : this.members;
  }

  #roleSet(role: string): string {
    const known = this.#roles.get(role);
    if (known !== undefined) return known;
    const elements = [...this.#world.devices].flatMap(([element, { roles }]) => (roles.has(role) ? [{ element }] : []));
    const name = this.#add(`r${this.#roles.size + 1}`, 'hash:ip', elements);
    this.#roles.set(role, name);
    return name;
  }

  /** Each device once, however many lines name it; the latest end counts. */
  #devicesOf(people: readonly Grantee[]): Element[] {
    const found = new Map<string, number | undefined>();
    for (const { subject, until } of people)
      for (const [address, device] of this.#devicesByEmail.get('email' in subject ? subject.email : '') ?? []) {
        if (!subjectMatches(subject, device)) continue;
        const known = found.has(address) ? found.get(address) : 0;
        found.set(address, until === undefined || known === undefined ? undefined : Math.max(until, known));
      }
    return [...found].map(([element, until]) => (until === undefined ? { element } : { element, until }));
  }

  #shared(key: string, make: () => string): string {
    const name = this.#byContent.get(key) ?? make();
    this.#byContent.set(key, name);
    return name;
  }

  #next(letter: string): string {
    return `${letter}${this.#sets.size}`;
  }

  #add(suffix: string, type: IpSet['type'], elements: readonly Element[], timeouts = false): string {
    const name = `${this.#prefix}${suffix}`;
    if (name.length > longestName)
      throw new RangeError(`the set name ${name} is longer than ${longestName} characters`);
    const size = type === 'list:set' ? { size: Math.max(8, elements.length) } : {};
    this.#sets.set(name, { name, type, timeouts, ...size, elements });
    return name;
  }
}

function isTimed(grantees: readonly Grantee[]): boolean {
  return grantees.some(({ until }) => until !== undefined);
}
