import { writtenSubject, writtenTarget } from '#policies/language/format-statement.ts';
import { type AllowStatement, type Subject, statementsOf, visiblePorts } from '#policies/language/statement.ts';
import { writtenPort } from '#policies/language/values.ts';
import { placeInWords } from './explain.ts';
import { allowsFor, type World } from './world.ts';

/** What is open to one subject by one line. `ports` is empty where every port is. */
export interface OpenPlace {
  readonly target: string;
  /** The target as a person knows it, with the address behind the name. */
  readonly place: string;
  readonly ports: readonly string[];
  readonly until: string | null;
  readonly line: number;
}

/** All that is open now, with what no line of the document says. */
export interface Effective {
  readonly plumbing: readonly { readonly name: string; readonly port: string; readonly node: string | null }[];
  readonly closedPorts: readonly {
    readonly node: string;
    readonly device: string;
    readonly port: string;
    readonly line: number;
  }[];
  /** Everyone, each role with all it includes, and the users and devices that a line names, with that line alone. */
  readonly subjects: readonly { readonly subject: string; readonly open: readonly OpenPlace[] }[];
  readonly words: readonly string[];
}

/** Lists what a document opens at `now` (Unix milliseconds). Grants that have ended are not in it. */
export function effective(world: World, now: number): Effective {
  const plumbing = world.plumbing.map(({ name, port, node }) => ({
    name,
    port: writtenPort(port),
    node: node ?? null,
  }));
  const closedPorts = world.vpnOnly.flatMap(({ node, device, ports, line }) =>
    ports.map(({ value }) => ({ node: node.value, device: device.value, port: writtenPort(value), line })),
  );
  const subjects = [
    { subject: 'everyone', allows: allowsFor(world, { roles: new Set() }) },
    ...statementsOf(world.document, 'role').map(({ name }) => ({
      subject: writtenSubject({ kind: 'role', role: name.value }, 'role:'),
      allows: allowsFor(world, { roles: world.rolesOf(name.value) }),
    })),
    ...[...individuals(world.allows)].map(([subject, allows]) => ({ subject, allows })),
  ].map(({ subject, allows }) => ({ subject, open: allows.flatMap((allow) => placesOf(world, allow, now)) }));
  return { plumbing, closedPorts, subjects, words: inWords({ plumbing, closedPorts, subjects }) };
}

function individuals(allows: readonly AllowStatement[]): ReadonlyMap<string, AllowStatement[]> {
  const found = new Map<string, AllowStatement[]>();
  const isIndividual = ({ kind }: Subject) => kind === 'user' || kind === 'device';
  for (const allow of allows)
    for (const { value } of allow.subjects.filter(({ value }) => isIndividual(value))) {
      const lines = found.get(writtenSubject(value));
      if (lines === undefined) found.set(writtenSubject(value), [allow]);
      else lines.push(allow);
    }
  return found;
}

function placesOf(world: World, { targets, ports, until, line }: AllowStatement, now: number): OpenPlace[] {
  if (until !== undefined && until.value.at <= now) return [];
  return targets.map(({ value }) => {
    const service = value.kind === 'named' ? world.services.get(value.name) : undefined;
    const opened = ports.length > 0 || service === undefined ? ports.map((port) => port.value) : visiblePorts(service);
    return {
      target: writtenTarget(value),
      place: placeInWords(world, value),
      ports: opened.map(writtenPort),
      until: until === undefined ? null : new Date(until.value.at).toISOString(),
      line,
    };
  });
}

function inWords({ plumbing, closedPorts, subjects }: Omit<Effective, 'words'>): string[] {
  const width = Math.max(...plumbing.map(({ name }) => name.length));
  return [
    'Open to every device, without a line:',
    ...plumbing.map(
      ({ name, port, node }) => `  ${name.padEnd(width)}  ${port} on ${node === null ? 'every node' : node}`,
    ),
    ...(closedPorts.length === 0 ? [] : ['Closed to the public, open to every device through the tunnel:']),
    ...closedPorts.map(({ node, device, port, line }) => `  ${port} on ${node} (${device})  (line ${line})`),
    ...subjects.flatMap(({ subject, open }) => [
      `${subject}:`,
      ...(open.length === 0 ? ['  nothing more'] : open.map((one) => `  ${openInWords(one)}`)),
    ]),
  ];
}

function openInWords({ place, ports, until, line }: OpenPlace): string {
  const onPorts = ports.length === 0 ? 'every port' : ports.join(', ');
  return `${place}: ${onPorts}${until === null ? '' : `, until ${until}`}  (line ${line})`;
}
