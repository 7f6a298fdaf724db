import type { Diagnostic } from '#contract/diagnostic.ts';
import { checkDocument } from './check.ts';
import { writtenStatement, writtenSubject, writtenTarget } from './format-statement.ts';
import { splitLines } from './lex.ts';
import { parse, parseLine } from './parse.ts';
import { type Document, type Port, portContains, type Statement, type Subject, type Target } from './statement.ts';
import { writtenPort } from './values.ts';

/**
 * Changes of a document as changes of its lines: what is not touched stays to the letter, comments and order included.
 * An edit looks only at what it changes; the caller checks the result as a whole.
 */

/** `at` are the lines of the new document that the edit wrote or, for a removal, the old document's that it took. */
export type Edited =
  | { readonly ok: true; readonly source: string; readonly at: readonly number[] }
  | { readonly ok: false; readonly reason: 'unreadable'; readonly diagnostics: readonly Diagnostic[] }
  | { readonly ok: false; readonly reason: 'exists' | 'unknown'; readonly lines: readonly number[] }
  /** Other lines name it; they go first. */
  | { readonly ok: false; readonly reason: 'in-use'; readonly lines: readonly number[] };

/** Adds a statement below the last one of its kind, or at the end. What is already there, word for word, is not added again. */
export function addStatement(source: string, written: string): Edited {
  const { line, found } = parseLine(written, 1);
  const { statement, comment } = line;
  if (statement === undefined || written.includes('\n')) return { ok: false, reason: 'unreadable', diagnostics: found };
  const { document } = parse(source);
  const existing = document.lines.filter((other) => saysTheSame(other.statement, statement));
  if (existing.length > 0) return { ok: false, reason: 'exists', lines: existing.map(({ number }) => number) };

  const text = comment === undefined ? writtenStatement(statement) : `${writtenStatement(statement)}  ${comment}`;
  const lines = splitLines(source);
  const last = document.lines.findLast((other) => other.statement?.kind === statement.kind)?.number;
  if (last === undefined) {
    while (lines.at(-1)?.trim() === '') lines.pop();
    return { ok: true, source: [...lines, text, ''].join('\n'), at: [lines.length + 1] };
  }
  lines.splice(last, 0, text);
  return { ok: true, source: ended(lines), at: [last + 1] };
}

/**
 * Takes a network, service or role out. Where other lines name it, either nothing changes and they are listed, or
 * (`uses: 'remove'`) grants and tests lose it too. A service inside a network is never taken along.
 */
export function removeNamed(
  source: string,
  kind: 'network' | 'service' | 'role',
  name: string,
  uses: 'refuse' | 'remove' = 'refuse',
): Edited {
  const { document } = parse(source);
  const declaration = document.lines.find(({ statement }) => statement?.kind === kind && statement.name.value === name);
  if (declaration === undefined) return { ok: false, reason: 'unknown', lines: [] };
  const changes = new Map<number, string | undefined>([[declaration.number, undefined]]);
  if (uses === 'remove')
    for (const { number, statement, comment } of document.lines) {
      const left = statement && withoutName(statement, kind, name);
      if (statement !== left) changes.set(number, left && written(left, comment));
    }
  const inUse = newlyWrong(source, document, changes);
  if (inUse.length > 0) return { ok: false, reason: 'in-use', lines: inUse };
  return changed(source, changes);
}

/**
 * Takes one grant away: this subject to this target. A line that gives more keeps the rest; lines that give it in another
 * way (a role, a larger network) are not searched for.
 */
export function removeAllow(source: string, subject: Subject, target: Target, ports?: readonly Port[]): Edited {
  const { document } = parse(source);
  const changes = new Map<number, string | undefined>();
  for (const { number, statement, comment } of document.lines) {
    if (statement?.kind !== 'allow') continue;
    if (
      ports !== undefined &&
      !samePorts(
        ports,
        statement.ports.map(({ value }) => value),
      )
    )
      continue;
    const others = statement.subjects.filter(({ value }) => writtenSubject(value) !== writtenSubject(subject));
    const rest = statement.targets.filter(({ value }) => writtenTarget(value) !== writtenTarget(target));
    if (others.length === statement.subjects.length || rest.length === statement.targets.length) continue;
    const kept: Statement[] = [];
    if (others.length > 0) kept.push({ ...statement, subjects: others });
    if (rest.length > 0)
      kept.push({
        ...statement,
        subjects: statement.subjects.filter((one) => !others.includes(one)),
        targets: rest,
      });
    const [first, ...more] = kept.map((one, i) => written(one, i === 0 ? comment : undefined));
    changes.set(number, first && [first, ...more].join('\n'));
  }
  return changes.size === 0 ? { ok: false, reason: 'unknown', lines: [] } : changed(source, changes);
}

/** Opens a port to the public again: takes it out of the `vpn-only` lines of this node and interface. */
export function removeVpnOnly(source: string, port: Port, node: string, device: string): Edited {
  const { document } = parse(source);
  const changes = new Map<number, string | undefined>();
  const wider: number[] = [];
  for (const { number, statement, comment } of document.lines) {
    if (statement?.kind !== 'vpn-only' || statement.node.value !== node || statement.device.value !== device) continue;
    const left = statement.ports.filter(({ value }) => writtenPort(value) !== writtenPort(port));
    if (left.some(({ value }) => portContains(value, port))) wider.push(number);
    if (left.length < statement.ports.length)
      changes.set(number, left.length === 0 ? undefined : written({ ...statement, ports: left }, comment));
  }
  if (wider.length > 0) return { ok: false, reason: 'in-use', lines: wider };
  return changes.size === 0 ? { ok: false, reason: 'unknown', lines: [] } : changed(source, changes);
}

function withoutName(statement: Statement, kind: 'network' | 'service' | 'role', name: string): Statement | undefined {
  const isSubject = (subject: Subject) => kind === 'role' && subject.kind === 'role' && subject.role === name;
  const isTarget = (target: Target) => kind !== 'role' && target.kind === 'named' && target.name === name;
  if (statement.kind === 'test')
    return isSubject(statement.subject.value) || isTarget(statement.target.value) ? undefined : statement;
  if (statement.kind === 'role') {
    const includes = statement.includes.filter(({ value }) => kind !== 'role' || value !== name);
    return includes.length === statement.includes.length ? statement : { ...statement, includes };
  }
  if (statement.kind !== 'allow') return statement;
  const subjects = statement.subjects.filter(({ value }) => !isSubject(value));
  const targets = statement.targets.filter(({ value }) => !isTarget(value));
  if (subjects.length === statement.subjects.length && targets.length === statement.targets.length) return statement;
  return subjects.length === 0 || targets.length === 0 ? undefined : { ...statement, subjects, targets };
}

/** The lines that were right and are wrong after the changes. Removed lines are left blank, so that numbers stay. */
function newlyWrong(
  source: string,
  before: Document,
  changes: ReadonlyMap<number, string | undefined>,
): readonly number[] {
  const lines = splitLines(source).map((text, index) =>
    changes.has(index + 1) ? (changes.get(index + 1) ?? '') : text,
  );
  const errorsOf = (document: Document) => checkDocument(document).filter(({ severity }) => severity === 'error');
  const old = new Set(errorsOf(before).map(({ line, code }) => `${line} ${code}`));
  const found = errorsOf(parse(lines.join('\n')).document).filter(({ line, code }) => !old.has(`${line} ${code}`));
  return [...new Set(found.map(({ line }) => line))];
}

function changed(source: string, changes: ReadonlyMap<number, string | undefined>): Edited {
  const lines = splitLines(source).flatMap((text, index) => {
    if (!changes.has(index + 1)) return [text];
    const replacement = changes.get(index + 1);
    return replacement === undefined ? [] : [replacement];
  });
  return { ok: true, source: ended(lines), at: [...changes.keys()] };
}

function written(statement: Statement, comment: string | undefined): string {
  return comment === undefined ? writtenStatement(statement) : `${writtenStatement(statement)}  ${comment}`;
}

function saysTheSame(a: Statement | undefined, b: Statement): boolean {
  if (a === undefined) return false;
  const isPlace = ({ kind }: Statement) => kind === 'network' || kind === 'service';
  if ('name' in a && 'name' in b && (a.kind === b.kind || (isPlace(a) && isPlace(b))))
    return a.name.value === b.name.value;
  return writtenStatement(a) === writtenStatement(b);
}

function samePorts(a: readonly Port[], b: readonly Port[]): boolean {
  const spelled = (ports: readonly Port[]) => ports.map(writtenPort).sort().join(' ');
  return spelled(a) === spelled(b);
}

function ended(lines: readonly string[]): string {
  const text = lines.join('\n');
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
