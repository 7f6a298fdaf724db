import type { BundleNetwork } from '#contract/bundle.ts';
import type { Diagnostic } from '#contract/diagnostic.ts';
import type { Front } from '#contract/policy.ts';
import type { RosterNode } from '#contract/roster.ts';
import { Bundles } from '#policies/desired/bundle.ts';
import { indexed, type Outline, outlineOf } from '#policies/desired/outline.ts';
import { type Checked, checkSource } from '#policies/language/check.ts';
import { errorAt, hasErrors, inReadingOrder } from '#policies/language/diagnostic.ts';
import { addStatement, type Edited, removeAllow, removeNamed, removeVpnOnly } from '#policies/language/edit.ts';
import { format } from '#policies/language/format.ts';
import { type Document, type Port, type Subject, statementsOf, type Target } from '#policies/language/statement.ts';
import { checkAgainstRoster } from '#policies/meaning/check-roster.ts';
import { type AccessDiff, diff } from '#policies/meaning/diff.ts';
import { type Effective, effective } from '#policies/meaning/effective.ts';
import { type Explanation, explain } from '#policies/meaning/explain.ts';
import { runTests } from '#policies/meaning/run-tests.ts';
import { resolve, type World } from '#policies/meaning/world.ts';

/** What is done with whole documents, which takes a while when they are long. Pure, and run in a thread of its own. */

/** Everybody and everything a document is about, as `api/store/surroundings.ts` saw it. Moments in Unix milliseconds. */
export type Around = {
  readonly pool: string;
  readonly api: { readonly node: string; readonly port: number } | null;
  readonly ownPorts: readonly Port[];
  readonly users: readonly { id: string; email: string; role: string; disabled: boolean }[];
  readonly devices: readonly Device[];
  readonly nodes: readonly RosterNode[];
  readonly now: number;
};
type Device = {
  readonly id: string;
  readonly userId: string;
  readonly email: string;
  readonly role: string;
  readonly name: string;
  readonly publicKey: string;
  readonly address: string;
  readonly listed: boolean;
};

/** A document with the addresses that its fronts have, or would have. */
export type Placed = { readonly document: string; readonly fronts: readonly Front[] };

export type Edit =
  /** Statements, each one line. */
  | { readonly kind: 'add'; readonly statements: readonly string[] }
  | {
      readonly kind: 'remove';
      readonly what: 'network' | 'service';
      readonly name: string;
      readonly uses: 'refuse' | 'remove';
    }
  | { readonly kind: 'open-port'; readonly port: Port; readonly node: string; readonly device: string }
  | {
      readonly kind: 'remove-grant';
      readonly subject: Subject;
      readonly target: Target;
      readonly ports?: readonly Port[];
    };

export type Judgement = {
  /** All of them, in the order of the document. With an error among them the rest is empty. */
  readonly diagnostics: readonly Diagnostic[];
  readonly diff: AccessDiff;
  /** The devices whose bundles change. */
  readonly bundles: readonly string[];
};

export type Work = typeof work;

export const work = {
  edit({ document, edit }: { document: string; edit: Edit }): Edited {
    switch (edit.kind) {
      case 'add':
        return addAll(document, edit.statements);
      case 'remove':
        return removeNamed(document, edit.what, edit.name, edit.uses);
      case 'open-port':
        return removeVpnOnly(document, edit.port, edit.node, edit.device);
      case 'remove-grant':
        return removeAllow(document, edit.subject, edit.target, edit.ports);
    }
  },

  /** What a document says as far as it can be read. */
  read({ document, ownPorts }: { document: string; ownPorts: readonly Port[] }): Outline {
    return outlineOf(check(document, ownPorts).document);
  },

  /** Finds what is wrong with a document, and where nothing is, what changes when it takes the place of `before`. */
  judge({ before, after, around }: { before: Placed | null; after: Placed; around: Around }): Judgement {
    const checked = check(after.document, around.ownPorts);
    const world = worldOf(checked.document, around, after.fronts);
    const roster = checkAgainstRoster(world, around.now).filter(({ code }) => code !== 'role-without-line');
    // What a document that cannot be read opens is not worth a test.
    const diagnostics = checked.ok
      ? [...checked.warnings, ...roster, ...rolesInUse(world, around), ...runTests(world, around.now)]
      : [...checked.diagnostics, ...roster];
    const judgement = { diagnostics: inReadingOrder(diagnostics), diff: { changes: [], words: [] }, bundles: [] };
    if (before === null || hasErrors(diagnostics)) return judgement;
    const old = worldOf(check(before.document, []).document, around, before.fronts);
    return {
      ...judgement,
      diff: diff(old, world, around.now),
      bundles: changedBundles([before, old.document], [after, world.document], around),
    };
  },

  format: ({ document }: { document: string }): string => format(document),

  diff({ before, after, around }: { before: Placed; after: Placed; around: Around }): AccessDiff {
    const worlds = [before, after].map(({ document, fronts }) =>
      worldOf(check(document, []).document, around, fronts),
    ) as [World, World];
    return diff(...worlds, around.now);
  },

  explain(asked: { placed: Placed; around: Around; subject: Subject; target: Target; port?: Port }): Explanation {
    const { placed, around, subject, target, port } = asked;
    const world = worldOf(check(placed.document, []).document, around, placed.fronts);
    return explain(world, subject, target, port, around.now);
  },

  effective({ placed, around }: { placed: Placed; around: Around }): Effective {
    const world = worldOf(check(placed.document, []).document, around, placed.fronts);
    return effective(world, around.now);
  },
};

function addAll(document: string, statements: readonly string[]): Edited {
  let source = document;
  const at: number[] = [];
  for (const statement of statements) {
    const edited = addStatement(source, statement);
    if (!edited.ok) return edited;
    source = edited.source;
    // A line that is put in moves those below it.
    for (const [i, line] of at.entries()) if (edited.at.some((added) => added <= line)) at[i] = line + 1;
    at.push(...edited.at);
  }
  return { ok: true, source, at: at.sort((a, b) => a - b) };
}

/** Reading is most of the work, and one request reads the same document more than once. */
let lastChecked: { key: string; checked: Checked }[] = [];

function check(document: string, ownPorts: readonly Port[]): Checked {
  const key = `${JSON.stringify(ownPorts)} ${document}`;
  const known = lastChecked.find((one) => one.key === key);
  if (known !== undefined) return known.checked;
  const checked = checkSource(document, { ownPorts });
  lastChecked = [{ key, checked }, ...lastChecked].slice(0, 2);
  return checked;
}

function worldOf(document: Document, { pool, api, users, devices, nodes }: Around, fronts: readonly Front[]): World {
  return resolve(document, {
    pool,
    users: users.filter(({ disabled }) => !disabled),
    devices: devices.filter(({ listed }) => listed),
    nodes,
    fronts,
    ...(api !== null && nodes.some(({ name }) => name === api.node) ? { api } : {}),
  });
}

const shownPeople = 5;

/** A user without a role of the document would reach only what everyone does, by no line that anybody wrote. */
function rolesInUse({ document }: World, { users }: Around): Diagnostic[] {
  const known = new Set(statementsOf(document, 'role').map(({ name }) => name.value));
  const byRole = Map.groupBy(users, ({ role }) => role);
  return [...byRole].flatMap(([role, having]) => {
    if (known.has(role)) return [];
    const others = having.length - shownPeople;
    const names = having.slice(0, shownPeople).map(({ email }) => email);
    const who = `${names.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
    const message = `there is no line \`role ${role}\`, and ${who} ${having.length === 1 ? 'has' : 'have'} that role; give them another one first`;
    return [errorAt({ line: 1, column: 1, length: 1 }, 'role-in-use', message)];
  });
}

/** Devices share most of their networks, so few lists are compared for many devices. */
function changedBundles(
  [before, oldDocument]: [Placed, Document],
  [after, newDocument]: [Placed, Document],
  { pool, nodes, devices, now }: Around,
): string[] {
  const bundles = (document: Document, fronts: readonly Front[]) =>
    new Bundles(indexed(outlineOf(document)), { pool, nodes, fronts }, now);
  const old = bundles(oldDocument, before.fronts);
  const fresh = bundles(newDocument, after.fronts);
  const texts = new WeakMap<object, string>();
  const sharedText = (networks: readonly BundleNetwork[]): string => {
    const text = texts.get(networks) ?? JSON.stringify(networks);
    texts.set(networks, text);
    return text;
  };
  return devices
    .filter((device) => {
      const [one, other] = [old.networkPartsOf(device, device), fresh.networkPartsOf(device, device)];
      if (sharedText(one.shared) === sharedText(other.shared)) return !isSame(one.own, other.own);
      return !isSame([...one.shared, ...one.own], [...other.shared, ...other.own]);
    })
    .map(({ id }) => id);
}

function isSame(networks: readonly BundleNetwork[], others: readonly BundleNetwork[]): boolean {
  return (
    networks.length === others.length &&
    networks.every(({ name, cidr, nodes }, i) => {
      const other = others[i];
      return name === other?.name && cidr === other.cidr && nodes.join() === other.nodes.join();
    })
  );
}
