import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import { NetworkName } from './admin.ts';
import { DisplayName, Email, Id, Name } from './name.ts';

const hostile = [
  'a\nb',
  'a\r',
  'a;b',
  '$(id)',
  '`id`',
  '[Peer]',
  'a=PostUp',
  'a\u0000b',
  'a\u202Eb',
  'a\u200Fb',
  'a\u2066b',
  'a"b',
  'a|b',
  'a<b>',
  '*filter',
  '-j ACCEPT',
  ' a',
  '',
  'x'.repeat(10_240),
];

describe('names', () => {
  test.each(hostile.map((name) => [JSON.stringify(name).slice(0, 30), name]))('none takes %s', (_, name) => {
    for (const schema of [Name, DisplayName, Email, Id]) expect(v.safeParse(schema, name).success).toBe(false);
  });

  test.each(["Ana's laptop", 'büro-7', 'कार्यालय', '東京 2', 'n1.lab', 'Zoë (old)'])('a person may write %s', (name) =>
    expect(v.safeParse(DisplayName, name).success).toBe(true),
  );

  test.each(['developer', 'n1', 'br-internal', 'a'])('a policy may say %s', (name) =>
    expect(v.safeParse(Name, name).success).toBe(true),
  );

  test.each(['Developer', '1n', 'a-', 'a_b', 'ä', 'x'.repeat(21)])('a policy may not say %s', (name) =>
    expect(v.safeParse(Name, name).success).toBe(false),
  );

  test.each(['devices', 'nodes', 'everyone'])('a network is not called %s', (name) =>
    expect(v.safeParse(NetworkName, name).success).toBe(false),
  );

  test('an e-mail address is kept in lower case', () =>
    expect(v.parse(Email, 'Ana@Example.COM')).toBe('ana@example.com'));

  test('ids are what the API makes', () => expect(v.safeParse(Id, Bun.randomUUIDv7()).success).toBe(true));
});
