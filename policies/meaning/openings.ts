import { writtenSubject } from '#policies/language/format-statement.ts';
import type { AllowStatement } from '#policies/language/statement.ts';
import { type Access, accessByLine, openToAll } from './access.ts';
import { type Box, BoxIndex, subtract } from './boxes.ts';
import { allowsFor, type Principal, subjectsOf, type World } from './world.ts';

/**
 * All that a world opens, looked up by who and where. Made once for many questions: what a role is granted is worked out
 * once for all who have it.
 */
export class Openings {
  readonly #world: World;
  readonly #now: number;
  readonly #ofLine = new Map<number, readonly Access[]>();
  readonly #indexes = new Map<string, BoxIndex<Access>>();
  readonly #toAll: readonly Access[];
  readonly #indexToAll: BoxIndex<Access>;

  /** What is open from `now` on, in Unix milliseconds. */
  constructor(world: World, now: number) {
    this.#world = world;
    this.#now = now;
    this.#toAll = openToAll(world);
    this.#indexToAll = new BoxIndex(this.#toAll, ({ box }) => box);
  }

  /** All that a principal may reach, line by line. */
  of(principal: Principal): Access[] {
    return [...this.#toAll, ...this.byLines(allowsFor(this.#world, principal))];
  }

  /** What these lines open. */
  byLines(allows: readonly AllowStatement[]): Access[] {
    return allows.flatMap((allow) => this.#byLine(allow));
  }

  /** What the principal may reach of a box. */
  meeting(principal: Principal, box: Box): Access[] {
    const found = this.#indexToAll.meeting(box);
    for (const subject of subjectsOf(principal)) {
      const index = this.#indexOf(writtenSubject(subject));
      if (index !== undefined) found.push(...index.meeting(box));
    }
    return found;
  }

  /** What of a box the principal may not reach. */
  closed(principal: Principal, box: Box): Box[] {
    return subtract(
      box,
      this.meeting(principal, box).map((access) => access.box),
    );
  }

  #byLine(allow: AllowStatement): readonly Access[] {
    const known = this.#ofLine.get(allow.line);
    if (known !== undefined) return known;
    const access = accessByLine(this.#world, allow, this.#now);
    this.#ofLine.set(allow.line, access);
    return access;
  }

  #indexOf(subject: string): BoxIndex<Access> | undefined {
    const known = this.#indexes.get(subject);
    if (known !== undefined) return known;
    const allows = this.#world.allowsBySubject.get(subject);
    if (allows === undefined) return undefined;
    const index = new BoxIndex(this.byLines(allows), ({ box }) => box);
    this.#indexes.set(subject, index);
    return index;
  }
}
