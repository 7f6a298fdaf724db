import { describe, expect, test } from 'bun:test';
import { readSubject, readTarget } from '#policies/language/read-party.ts';
import { readPort } from '#policies/language/values.ts';
import { explain } from './explain.ts';
import { inDecember, inNovember, sampleWorld } from './fixture/sample-world.ts';

const asked = (who: string, where: string, port?: string, now = inNovember) => {
  const [subject, target] = [readSubject(who), readTarget(where)];
  const read = port === undefined ? undefined : readPort(port);
  if (!subject.ok || !target.ok || read?.ok === false) throw new Error('the test asks nonsense');
  return explain(sampleWorld(), subject.value, target.value, read?.value, now);
};
const words = (...question: Parameters<typeof asked>) => asked(...question).words.join('\n');

describe('explain', () => {
  test('an allowed one: the line and the way', () =>
    expect(asked('alice@example.com', 'gitlab', 'tcp/22')).toEqual({
      subject: 'alice@example.com',
      target: 'gitlab',
      port: 'tcp/22',
      verdict: 'allowed',
      lines: [{ line: 10, text: 'allow developer -> gitlab, vault', until: null }],
      through: [
        { node: 'n1', device: 'br-internal' },
        { node: 'n2', device: 'eth1' },
      ],
      words: [
        'alice@example.com may reach gitlab (the front 10.91.127.1 tcp/443, backend 172.19.0.10) on tcp/22.',
        '  line 10: allow developer -> gitlab, vault',
        '  through n1 (br-internal) or n2 (eth1)',
      ],
    }));

  test.each([
    ['role:developer', 'internal', 'tcp/80', 'denied', 'line 11 opens it to admin'],
    ['alice@example.com', 'vault', 'tcp/8080', 'denied', 'vault answers on tcp/443 through its front'],
    ['role:admin', '172.19.0.0/16', undefined, 'partly', 'line 11: allow admin -> internal, devices'],
    ['role:admin', 'internal', undefined, 'allowed', 'through n1 (br-internal) or n2 (eth1)'],
    ['role:guest', 'nodes', 'udp/53', 'allowed', "it is the nodes' plumbing"],
    ['role:guest', 'internal', undefined, 'partly', '172.19.7.0/24 inside it belongs to secret'],
    ['role:guest', 'devices', undefined, 'denied', 'line 11 opens it to admin'],
    ['zoe@example.com', 'gitlab', undefined, 'unknown', 'There is no user zoe@example.com'],
    ['alice@example.com', 'gitlub', undefined, 'unknown', 'There is no network or service gitlub'],
  ] as const)('%s to %s %s: %s', (who, where, port, verdict, said) => {
    const explanation = asked(who, where, port);
    expect(explanation.verdict).toBe(verdict);
    expect(explanation.words.join('\n')).toContain(said);
  });

  test('a grant with an end says when', () =>
    expect(words('alice@example.com', 'sandbox', 'tcp/5432')).toContain('(ends 2026-12-01T00:00:00.000Z)'));

  test('a grant that ran out says so', () =>
    expect(words('alice@example.com', 'sandbox', 'tcp/5432', inDecember)).toContain(
      'line 13 opened it until 2026-12-01T00:00Z and has run out',
    ));
});
