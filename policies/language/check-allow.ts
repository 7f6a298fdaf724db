import type { Diagnostic } from '#contract/diagnostic.ts';
import { readPlace } from './address.ts';
import { repeatedPorts } from './check-places.ts';
import type { Declared } from './declared.ts';
import { errorAt, warningAt } from './diagnostic.ts';
import { writtenSubject, writtenTarget } from './format-statement.ts';
import {
  type AllowStatement,
  type At,
  type Document,
  portContains,
  type ServiceStatement,
  type Subject,
  statementsOf,
  type Target,
  visiblePorts,
} from './statement.ts';
import { writtenPort } from './values.ts';

/** Grants and tests name what exists, and open what can be opened. */
export function checkAllows(document: Document, declared: Declared): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const earlier = new Map<string, number>();
  for (const allow of statementsOf(document, 'allow')) {
    for (const subject of allow.subjects) diagnostics.push(...subjectProblems(subject, declared));
    for (const target of allow.targets) {
      diagnostics.push(...targetProblems(target, declared));
      const service = target.value.kind === 'named' ? declared.services.get(target.value.name) : undefined;
      if (service !== undefined) diagnostics.push(...portsNotOffered(allow, service));
    }
    diagnostics.push(
      ...repeated(allow.subjects, writtenSubject),
      ...repeated(allow.targets, writtenTarget),
      ...repeatedPorts(allow.ports),
    );
    const meaning = meaningOf(allow);
    const line = earlier.get(meaning);
    if (line !== undefined)
      diagnostics.push(
        warningAt(allow.subjects[0] ?? startOf(allow), 'repeated-line', `line ${line} already says this`),
      );
    else earlier.set(meaning, allow.line);
  }
  for (const { partial } of document.lines) {
    for (const subject of partial?.subjects ?? []) diagnostics.push(...subjectProblems(subject, declared));
    for (const target of partial?.targets ?? []) diagnostics.push(...targetProblems(target, declared));
  }
  for (const test of statementsOf(document, 'test'))
    diagnostics.push(...subjectProblems(test.subject, declared), ...targetProblems(test.target, declared));
  return diagnostics;
}

function subjectProblems(subject: At<Subject>, declared: Declared): Diagnostic[] {
  const { value } = subject;
  if (value.kind !== 'role' || declared.knowsRole(value.role)) return [];
  return [declared.unknownRole(subject, value.role)];
}

function targetProblems(target: At<Target>, declared: Declared): Diagnostic[] {
  const { value } = target;
  if (value.kind === 'named') {
    if (declared.knowsPlace(value.name)) return [];
    return [declared.unknownPlace(target, value.name)];
  }
  if (value.kind !== 'literal' || !declared.subnetsKnown) return [];
  const place = readPlace(value.cidr);
  if (!place.ok || declared.subnets.holderOf(place.value) !== undefined) return [];
  return [
    errorAt(
      target,
      'no-way',
      `${writtenTarget(value)} lies in no network of this document, so no node leads there. Name its network first, or the other devices by \`devices\` and the nodes by \`nodes\``,
    ),
  ];
}

function portsNotOffered(allow: AllowStatement, service: ServiceStatement): Diagnostic[] {
  const offered = visiblePorts(service);
  return allow.ports
    .filter((port) => !offered.some((one) => portContains(one, port.value)))
    .map((port) => {
      const front = service.front === undefined ? '' : ' through its front';
      const list = offered.map(writtenPort).join(', ');
      const message = `${service.name.value} (line ${service.line}) answers on ${list}${front}, not on ${writtenPort(port.value)}`;
      return errorAt(port, 'port-not-offered', message);
    });
}

function repeated<T>(items: readonly At<T>[], written: (value: T) => string): Diagnostic[] {
  const seen = new Set<string>();
  return items.flatMap((item) => {
    const name = written(item.value);
    if (seen.has(name)) return [warningAt(item, 'repeated', `${name} is named twice on this line`)];
    seen.add(name);
    return [];
  });
}

/** Two lines with the same parts in another order mean the same. */
function meaningOf(allow: AllowStatement): string {
  return JSON.stringify([
    allow.subjects.map(({ value }) => writtenSubject(value)).sort(),
    allow.targets.map(({ value }) => writtenTarget(value)).sort(),
    allow.ports.map(({ value }) => writtenPort(value)).sort(),
    allow.until?.value.at,
  ]);
}

function startOf(allow: AllowStatement) {
  return { line: allow.line, column: 1, length: 5 };
}
