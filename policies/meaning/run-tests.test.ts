import { describe, expect, test } from 'bun:test';
import { inDecember, inNovember, sampleLines, sampleRoster, worldOf } from './fixture/sample-world.ts';
import { runTests } from './run-tests.ts';

const outcome = (line: string, now = inNovember) =>
  runTests(worldOf([...sampleLines, line]), now).map(({ code }) => code)[0] ?? 'passes';

describe('tests of a document', () => {
  test.each([
    ['test alice@example.com -> gitlab tcp/22 allowed', 'passes'],
    ['test alice@example.com -> gitlab allowed', 'passes'],
    ['test alice@example.com -> gitlab denied', 'test-failed'],
    ['test alice@example.com -> vault tcp/443 allowed', 'passes'],
    ['test alice@example.com -> vault tcp/8080 denied', 'passes'],
    ['test alice@example.com -> sandbox tcp/5432 allowed', 'passes'],
    ['test alice@example.com -> sandbox allowed', 'test-failed'],
    ['test alice@example.com -> sandbox denied', 'test-failed'],
    ['test alice@example.com -> 172.17.3.7 icmp denied', 'passes'],
    ['test device:alice@example.com/"Alice\'s phone" -> 172.17.3.7 icmp allowed', 'passes'],
    ['test device:alice@example.com/"Alice\'s phone" -> sandbox icmp allowed', 'test-failed'],
    ['test device:alice@example.com/"Alice\'s phone" -> sandbox icmp denied', 'test-failed'],
    ['test role:developer -> internal tcp/80 denied', 'passes'],
    ['test role:developer -> internal denied', 'test-failed'],
    ['test role:admin -> internal allowed', 'passes'],
    ['test role:admin -> secret denied', 'passes'],
    ['test role:admin -> 172.19.0.0/16 allowed', 'test-failed'],
    ['test role:admin -> 172.19.8.0/24 allowed', 'passes'],
    ['test role:admin -> devices allowed', 'passes'],
    ['test role:admin -> nodes tcp/22 allowed', 'passes'],
    ['test role:admin -> nodes allowed', 'test-failed'],
    ['test everyone -> dns allowed', 'passes'],
    ['test everyone -> dns udp/53 allowed', 'passes'],
    ['test everyone -> gitlab denied', 'passes'],
    ['test everyone -> nodes udp/53 allowed', 'passes'],
    ['test everyone -> nodes tcp/5432 denied', 'test-failed'],
    ['test everyone -> nodes tcp/22 denied', 'passes'],
    ['test zoe@example.com -> gitlab denied', 'test-skipped'],
  ])('%s %s', (line, expected) => expect(outcome(line)).toBe(expected));

  test('two lines together may open the whole of a target', () => {
    const lines = [
      ...sampleLines,
      'allow guest -> 172.17.0.0/17 tcp/1-100',
      'allow guest -> 172.17.128.0/17 tcp/1-200',
    ];
    const world = (line: string) => worldOf([...lines, line]);
    expect(runTests(world('test role:guest -> sandbox tcp/50-100 allowed'), 0)).toEqual([]);
    expect(runTests(world('test role:guest -> sandbox tcp/50-101 allowed'), 0)).toHaveLength(1);
  });

  test('a grant that ran out opens nothing', () =>
    expect(outcome('test alice@example.com -> sandbox denied', inDecember)).toBe('passes'));

  test('the message says what is open, and by which lines', () => {
    const world = worldOf([...sampleLines, 'test role:developer -> internal denied']);
    expect(runTests(world, inNovember)[0]).toMatchObject({ severity: 'error', line: 17, column: 24 });
    expect(runTests(world, inNovember)[0]?.message).toBe(
      'test role:developer -> internal denied: a part of it is open, by line 15, and a part is not',
    );
  });

  test('a user who was disabled does not hold up the document', () => {
    const gone = { ...sampleRoster, users: sampleRoster.users.filter(({ email }) => !email.startsWith('alice')) };
    const world = worldOf([...sampleLines, 'test alice@example.com -> gitlab allowed'], gone);
    expect(runTests(world, inNovember).map(({ severity }) => severity)).toEqual(['warning']);
  });
});
