import type { Cidr } from '#contract/network.ts';
import { writtenPlace } from '#policies/language/address.ts';
import { writtenStatement, writtenSubject, writtenTarget } from '#policies/language/format-statement.ts';
import {
  frontPort,
  type Port,
  type Subject,
  statementsOf,
  type Target,
  visiblePorts,
} from '#policies/language/statement.ts';
import { writtenPort } from '#policies/language/values.ts';
import { type Access, accessOf, boxesOf, partsOf } from './access.ts';
import type { Box } from './boxes.ts';
import { judgeBoxes } from './run-tests.ts';
import { type Principal, principalOf, subjectMatches, type World } from './world.ts';

/** A way to a place: the node to go through, and the interface it leaves by. */
export interface Through {
  readonly node: string;
  readonly device: string | null;
}

/** Why someone may or may not reach a place, for people (`words`) and for programs. */
export interface Explanation {
  readonly subject: string;
  readonly target: string;
  readonly port: string | null;
  readonly verdict: 'allowed' | 'partly' | 'denied' | 'unknown';
  /** The lines that open it, as they are written. */
  readonly lines: readonly { readonly line: number; readonly text: string; readonly until: string | null }[];
  readonly through: readonly Through[];
  readonly words: readonly string[];
}

/** Explains one question: who, where to and, if it matters, on which port. */
export function explain(
  world: World,
  subject: Subject,
  target: Target,
  port: Port | undefined,
  now: number,
): Explanation {
  const asked = {
    subject: writtenSubject(subject, 'role:'),
    target: writtenTarget(target),
    port: port === undefined ? null : writtenPort(port),
  };
  const unknown = (...words: string[]): Explanation => ({
    ...asked,
    verdict: 'unknown',
    lines: [],
    through: [],
    words,
  });
  if (target.kind === 'named' && !world.services.has(target.name) && !world.networks.has(target.name))
    return unknown(`There is no network or service ${target.name}.`);
  if (subject.kind === 'role' && !statementsOf(world.document, 'role').some(({ name }) => name.value === subject.role))
    return unknown(`There is no role ${subject.role}.`);
  const principal = principalOf(world, subject);
  if (principal === undefined)
    return unknown(`There is no user ${asked.subject} who is enabled; who is not in the roster reaches nothing.`);

  const wanted = boxesOf(world, target, port === undefined ? [] : [port]).map(atNow);
  const { openness, lines } = judgeBoxes(openNow(world, principal, now), wanted);
  const verdict = ({ all: 'allowed', part: 'partly', none: 'denied' } as const)[openness];
  const through = openness === 'none' ? [] : throughTo(world, target);
  const byLine = lines.map((line) => ({ line, ...lineText(world, line) }));
  const place = `${placeInWords(world, target)}${port === undefined ? '' : ` on ${writtenPort(port)}`}`;
  const words = [
    headline(asked.subject, place, verdict, byLine.length === 0 && openness !== 'none'),
    ...byLine.map(({ line, text, until }) => `  line ${line}: ${text}${until === null ? '' : `  (ends ${until})`}`),
    ...(through.length === 0 ? [] : [`  through ${through.map(written).join(' or ')}`]),
    ...(openness === 'all' ? [] : hints(world, principal, target, port, now)),
  ];
  return { ...asked, verdict, lines: byLine, through, words };
}

function headline(who: string, place: string, verdict: Explanation['verdict'], plumbing: boolean): string {
  if (verdict === 'denied') return `${who} may not reach ${place}: no line opens it.`;
  if (plumbing) return `${who} may reach ${place}: it is the nodes' plumbing, open to every device.`;
  return `${who} may reach ${verdict === 'partly' ? 'a part of ' : ''}${place}.`;
}

/** What a person who wonders about a refusal may have overlooked. */
function hints(world: World, principal: Principal, target: Target, port: Port | undefined, now: number): string[] {
  const found: string[] = [];
  const wanted = boxesOf(world, target, port === undefined ? [] : [port]).map(atNow);
  for (const allow of world.allows) {
    const boxes = allow.targets.flatMap(({ value }) =>
      boxesOf(
        world,
        value,
        allow.ports.map((one) => one.value),
      ),
    );
    const { openness } = judgeBoxes(
      boxes.map((box) => ({ box: atNow(box), target })),
      wanted,
    );
    if (openness === 'none') continue;
    const applies = allow.subjects.some(({ value }) => subjectMatches(value, principal));
    const over = allow.until !== undefined && allow.until.value.at <= now;
    if (applies && over)
      found.push(`  line ${allow.line} opened it until ${allow.until?.value.written} and has run out`);
    if (!applies && !over)
      found.push(
        `  line ${allow.line} opens it to ${allow.subjects.map(({ value }) => writtenSubject(value)).join(', ')}`,
      );
  }
  const service = target.kind === 'named' ? world.services.get(target.name) : undefined;
  if (service !== undefined && port !== undefined && wanted.length > 0) {
    const offered = visiblePorts(service).map(writtenPort);
    if (!offered.includes(writtenPort(port)))
      found.push(
        `  ${service.name.value} answers on ${offered.join(', ')}${service.front ? ' through its front' : ''}`,
      );
  }
  for (const network of target.kind === 'named' ? (world.inside.get(target.name) ?? []) : [])
    found.push(`  ${network.cidr.value} inside it belongs to ${network.name.value}, which is granted by itself`);
  return found.length > shownHints
    ? [...found.slice(0, shownHints), `  … and ${found.length - shownHints} more lines`]
    : found;
}

const shownHints = 8;

/** The nodes a target is reached through, in the order of the document. */
export function throughTo(world: World, target: Target): Through[] {
  const everyNode = world.roster.nodes.map(({ name }) => ({ node: name, device: null }));
  if (target.kind === 'devices' || target.kind === 'nodes') return everyNode;
  if (target.kind === 'literal') return gatewaysTo(world, target.cidr);
  const service = world.services.get(target.name);
  if (service?.front !== undefined && visiblePorts(service).length === 1) return everyNode;
  const cidr = service === undefined ? world.networks.get(target.name)?.cidr.value : `${service.address.value}/32`;
  return cidr === undefined ? [] : gatewaysTo(world, cidr);
}

function gatewaysTo(world: World, cidr: Cidr): Through[] {
  const ways = partsOf(world, cidr).flatMap(({ network }) =>
    network.gateways.map(({ node, device }) => ({ node: node.value, device: device.value })),
  );
  return [...new Map(ways.map((way) => [written(way), way])).values()];
}

function written({ node, device }: Through): string {
  return device === null ? node : `${node} (${device})`;
}

/** A target as a person knows it, with the address behind the name. */
export function placeInWords(world: World, target: Target): string {
  if (target.kind === 'devices') return 'the other devices';
  if (target.kind === 'nodes') return 'the nodes themselves';
  if (target.kind === 'literal') return writtenPlace(target.cidr);
  const service = world.services.get(target.name);
  if (service === undefined) return `${target.name} (${world.networks.get(target.name)?.cidr.value ?? 'unknown'})`;
  if (service.front === undefined) return `${target.name} (${service.address.value})`;
  const address = world.frontAddresses.get(target.name);
  const front =
    address === undefined ? 'a front without an address yet' : `the front ${address} ${writtenPort(frontPort)}`;
  return `${target.name} (${front}, backend ${service.address.value})`;
}

function lineText(world: World, line: number): { text: string; until: string | null } {
  const statement = world.document.lines[line - 1]?.statement;
  if (statement === undefined) return { text: '', until: null };
  const until = statement.kind === 'allow' ? statement.until : undefined;
  return {
    text: writtenStatement(statement),
    until: until === undefined ? null : new Date(until.value.at).toISOString(),
  };
}

function openNow(world: World, principal: Principal, now: number): Access[] {
  return accessOf(world, principal, now).map((one) => ({ ...one, box: atNow(one.box) }));
}

function atNow(box: Box): Box {
  return { ...box, time: [0, 0] };
}
