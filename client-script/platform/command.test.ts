import { expect, test } from 'bun:test';
import { CommandError, runCommand } from './command.ts';

async function failureOf(...argv: [string, ...string[]]): Promise<CommandError> {
  try {
    await runCommand(argv);
  } catch (error) {
    if (error instanceof CommandError) return error;
  }
  throw new Error('it did not fail');
}

test('arguments arrive as they are, whatever a shell would make of them', async () =>
  expect(await runCommand(['printf', '%s|', '$(id)', ';', '`id`', "a'b", '\n'])).toBe("$(id)|;|`id`|a'b|\n|"));

test('standard input goes to the program, and nothing else when there is none', async () => {
  expect(await runCommand(['cat'], { stdin: 'route add' })).toBe('route add');
  expect(await runCommand(['cat'])).toBe('');
});

test('a failure says which command, what it complained of, and how it ended', async () => {
  const error = await failureOf('sh', '-c', 'echo no such device >&2; exit 3');
  expect([error.name, error.code]).toEqual(['CommandError', 'command-failed']);
  expect(error.message).toContain('no such device');
  expect(error.message).toContain('ended with 3');
});

test('what a program had written before it failed is not repeated: a dump holds the private key', async () => {
  const error = await failureOf('sh', '-c', 'echo SECRET; exit 1');
  expect(error.message.replace(/^sh -c [^:]*:/, '')).not.toContain('SECRET');
});

test('a program that is not there is told from one that fails', async () =>
  expect((await failureOf('postern-no-such-program')).code).toBe('command-missing'));
