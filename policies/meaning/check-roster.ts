import type { Diagnostic } from '#contract/diagnostic.ts';
import { cidrsOverlap } from '#contract/network.ts';
import { errorAt, inReadingOrder, warningAt } from '#policies/language/diagnostic.ts';
import { writtenSubject } from '#policies/language/format-statement.ts';
import { type At, type Subject, statementsOf } from '#policies/language/statement.ts';
import { Suggester } from '#policies/language/suggest.ts';
import type { World } from './world.ts';

/**
 * What is wrong with a document in this world. Nodes must exist, and networks must keep clear of our own addresses. A
 * user or device that is not there is a warning alone: people leave, and their lines must not hold that up.
 */
export function checkAgainstRoster(world: World, now: number): Diagnostic[] {
  return inReadingOrder([
    ...unknownNodes(world),
    ...overlaps(world),
    ...people(world),
    ...rolesWithoutLine(world),
    ...ended(world, now),
  ]);
}

function unknownNodes({ document, roster }: World): Diagnostic[] {
  const known = new Set(roster.nodes.map(({ name }) => name));
  const suggester = new Suggester();
  return [
    ...statementsOf(document, 'network').flatMap(({ gateways }) => gateways.map(({ node }) => node)),
    ...statementsOf(document, 'vpn-only').map(({ node }) => node),
  ]
    .filter(({ value }) => !known.has(value))
    .map((node) =>
      errorAt(node, 'unknown-node', `there is no node ${node.value}`, suggester.closest(node.value, known)),
    );
}

function overlaps({ networks, roster }: World): Diagnostic[] {
  const own = [roster.pool, ...(roster.mesh === undefined ? [] : [roster.mesh.cidr]), ...(roster.ownSubnets ?? [])];
  return [...networks.values()].flatMap(({ cidr }) => {
    const other = own.find((subnet) => cidrsOverlap(subnet, cidr.value));
    if (other === undefined) return [];
    const whose = other === roster.pool ? 'the addresses of the devices' : 'a subnet between the nodes';
    return [errorAt(cidr, 'own-subnet', `${cidr.value} overlaps ${other}, ${whose}; a network lies elsewhere`)];
  });
}

function people({ document, roster }: World): Diagnostic[] {
  const emailOf = new Map(roster.users.map(({ id, email }) => [id, email]));
  const emails = new Set(emailOf.values());
  const devices = new Set(roster.devices.map(({ userId, name }) => `${emailOf.get(userId)}/${name}`));
  const suggester = new Suggester();
  const subjects: At<Subject>[] = [
    ...statementsOf(document, 'allow').flatMap((allow) => allow.subjects),
    ...statementsOf(document, 'test').map((test) => test.subject),
  ];
  return subjects.flatMap((subject) => {
    const { value } = subject;
    if (value.kind !== 'user' && value.kind !== 'device') return [];
    if (!emails.has(value.email)) {
      const meant = value.kind === 'user' ? suggester.closest(value.email, emails) : undefined;
      return [warningAt(subject, 'unknown-user', `there is no user ${value.email} who is enabled`, meant)];
    }
    if (value.kind === 'user' || devices.has(`${value.email}/${value.device}`)) return [];
    return [warningAt(subject, 'unknown-device', `there is no ${writtenSubject(value)} now; the line waits for one`)];
  });
}

/** Said at the first line, since the document has no line about them. */
function rolesWithoutLine({ document, roster }: World): Diagnostic[] {
  const known = new Set(statementsOf(document, 'role').map(({ name }) => name.value));
  const users = new Map<string, number>();
  for (const { role } of roster.users) if (!known.has(role)) users.set(role, (users.get(role) ?? 0) + 1);
  return [...users].map(([role, count]) =>
    warningAt(
      { line: 1, column: 1, length: 1 },
      'role-without-line',
      `${count} user${count === 1 ? ' has' : 's have'} the role ${role}, which no line names: they reach what everyone does, and what lines of their own give`,
    ),
  );
}

function ended({ allows }: World, now: number): Diagnostic[] {
  return allows.flatMap(({ until }) => {
    if (until === undefined || until.value.at > now) return [];
    return [warningAt(until, 'run-out', `this grant ended ${new Date(until.value.at).toISOString()}; the line can go`)];
  });
}
