import type { AccessQuestion, NewGrant } from '#contract/policy-admin.ts';
import type { FieldError } from '#contract/problem.ts';
import { writtenSubject, writtenTarget } from '#policies/language/format-statement.ts';
import { readSubject, readTarget } from '#policies/language/read-party.ts';
import type { Port, Subject, Target } from '#policies/language/statement.ts';
import { readPort, readUntil, writtenPort } from '#policies/language/values.ts';
import type { Result } from './result.ts';

/** Who, where to and on which port, of words as they stand in a policy. */
export type Question = { readonly subject: Subject; readonly target: Target; readonly port?: Port };

export function readQuestion({ subject, target, port }: AccessQuestion): Result<Question> {
  const read = readParties(subject, target);
  const ports = readPorts(port === undefined ? [] : [port], () => 'port');
  return both(read, ports, ({ subject, target }, [first]) => ({
    subject,
    target,
    ...(first === undefined ? {} : { port: first }),
  }));
}

/** The line that says this grant, and its parts. */
export function readGrant({ subject, target, ports = [], until }: NewGrant): Result<{
  readonly subject: Subject;
  readonly target: Target;
  readonly ports: readonly Port[];
  readonly line: string;
}> {
  const parties = readParties(subject, target);
  const read = readPorts(ports, (i) => `ports.${i}`);
  const end = until === undefined ? undefined : readUntil(until);
  if (end?.ok === false)
    return refused([
      ...errorsOf(parties),
      ...errorsOf(read),
      { path: 'until', message: 'must be 2026-12-01 or 2026-12-01T08:00Z' },
    ]);
  return both(parties, read, ({ subject, target }, ports) => {
    const onPorts = ports.length === 0 ? '' : ` ${ports.map(writtenPort).join(', ')}`;
    const line = `allow ${writtenSubject(subject)} -> ${writtenTarget(target)}${onPorts}${until === undefined ? '' : ` until ${until}`}`;
    return { subject, target, ports, line };
  });
}

function readParties(subject: string, target: string): Result<{ subject: Subject; target: Target }> {
  const who = readSubject(subject);
  // The quotes around a device's name are for documents.
  const quoted = !who.ok && who.suggestion?.startsWith('device:') ? readSubject(who.suggestion) : who;
  const where = readTarget(target);
  if (quoted.ok && where.ok) return { ok: true, value: { subject: quoted.value, target: where.value } };
  return refused([
    ...(quoted.ok
      ? []
      : [{ path: 'subject', message: 'must be everyone, role:NAME, an e-mail address or device:EMAIL/NAME' }]),
    ...(where.ok
      ? []
      : [{ path: 'target', message: 'must be devices, nodes, a network, a service, an address or a subnet' }]),
  ]);
}

function readPorts(words: readonly string[], pathOf: (index: number) => string): Result<readonly Port[]> {
  const read = words.map((word) => readPort(word));
  const ports = read.flatMap((one) => (one.ok ? [one.value] : []));
  if (ports.length === words.length) return { ok: true, value: ports };
  const message = 'must be a port such as tcp/443, udp/53, tcp/8000-8100 or icmp';
  return refused(read.flatMap((one, i) => (one.ok ? [] : [{ path: pathOf(i), message }])));
}

function both<A, B, C>(a: Result<A>, b: Result<B>, join: (a: A, b: B) => C): Result<C> {
  if (a.ok && b.ok) return { ok: true, value: join(a.value, b.value) };
  return refused([...errorsOf(a), ...errorsOf(b)]);
}

function errorsOf(result: Result<unknown>): FieldError[] {
  return result.ok ? [] : (result.errors ?? []);
}

function refused(errors: FieldError[]): Result<never> {
  return { ok: false, reason: 'invalid-input', errors };
}
