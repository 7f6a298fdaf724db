import { writtenPlace } from './address.ts';
import type { Statement, Subject, Target } from './statement.ts';
import { isPlainDeviceName, writtenPort } from './values.ts';

/** One statement in its plain spelling, cut into the cells that stand under each other in a block of like lines. */
export function statementCells(statement: Statement): string[] {
  switch (statement.kind) {
    case 'role':
      return [
        words(
          'role',
          statement.name.value,
          ...after(
            'includes',
            statement.includes.map(({ value }) => value),
          ),
        ),
      ];
    case 'network':
      return [`network ${statement.name.value}`, networkCell(statement)];
    case 'service':
      return [
        `service ${statement.name.value}`,
        `= ${statement.address.value} ${list(statement.ports.map(({ value }) => writtenPort(value)))}`,
        ...(statement.dnsName === undefined ? [] : [`name ${statement.dnsName.value}`]),
        ...(statement.front === undefined ? [] : [`front ${statement.front.value}`]),
        ...(statement.preset === undefined ? [] : [`preset ${statement.preset.value}`]),
      ];
    case 'allow':
      return [
        `allow ${list(statement.subjects.map(({ value }) => writtenSubject(value)))}`,
        words(
          '->',
          list(statement.targets.map(({ value }) => writtenTarget(value))),
          ...after(
            undefined,
            statement.ports.map(({ value }) => writtenPort(value)),
          ),
          ...after('until', statement.until === undefined ? [] : [statement.until.value.written]),
        ),
      ];
    case 'vpn-only':
      return [
        `vpn-only ${list(statement.ports.map(({ value }) => writtenPort(value)))}`,
        words('on', statement.node.value, 'dev', statement.device.value, ...(statement.force ? ['force'] : [])),
      ];
    case 'test':
      return [
        `test ${writtenSubject(statement.subject.value, 'role:')}`,
        words(
          '->',
          writtenTarget(statement.target.value),
          ...after(undefined, statement.port === undefined ? [] : [writtenPort(statement.port.value)]),
        ),
        statement.expected,
      ];
  }
}

/** One statement on a line of its own. */
export function writtenStatement(statement: Statement): string {
  return statementCells(statement).join(' ');
}

/** A test writes `role:developer`, to be told from a user at a glance; a grant writes the name alone. */
export function writtenSubject(subject: Subject, rolePrefix: '' | 'role:' = ''): string {
  switch (subject.kind) {
    case 'everyone':
      return 'everyone';
    case 'role':
      return `${rolePrefix}${subject.role}`;
    case 'user':
      return subject.email;
    case 'device':
      return `device:${subject.email}/${isPlainDeviceName(subject.device) ? subject.device : `"${subject.device}"`}`;
  }
}

export function writtenTarget(target: Target): string {
  if (target.kind === 'named') return target.name;
  return target.kind === 'literal' ? writtenPlace(target.cidr) : target.kind;
}

function networkCell({ cidr, gateways, nat }: Extract<Statement, { kind: 'network' }>): string {
  const ways = list(gateways.map(({ node, device }) => `${node.value} dev ${device.value}`));
  return words('=', cidr.value, 'via', ways, ...(nat ? [] : ['no-nat']));
}

function list(items: readonly string[]): string {
  return items.join(', ');
}

function after(keyword: string | undefined, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  return keyword === undefined ? [list(items)] : [keyword, list(items)];
}

function words(...parts: string[]): string {
  return parts.join(' ');
}
