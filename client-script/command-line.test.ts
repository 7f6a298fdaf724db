import { describe, expect, test } from 'bun:test';
import { readCommandLine } from './command-line.ts';
import { ClientFailure } from './failure.ts';

const root = 'SCEWNCPfZWHzhGToGd9T-5n1QFI_xoh4d322QhR6r0w';
const join = ['join', '--master', 'https://vpn.example.com:8443', '--root', root];
const read = (argv: readonly string[], environment = {}) => readCommandLine(argv, environment);

function failure(argv: readonly string[]): ClientFailure {
  try {
    read(argv);
  } catch (error) {
    if (error instanceof ClientFailure) return error;
  }
  throw new Error('it was accepted');
}

describe('the command line', () => {
  test.each([
    ['the terminal', join, {}, { kind: 'terminal' }],
    ['a file', [...join, '--code-file', '/x'], {}, { kind: 'file', path: '/x' }],
    ['standard input', [...join, '--code-file', '-'], {}, { kind: 'stdin' }],
    ['the environment', join, { POSTERN_CODE: 'abc' }, { kind: 'text', text: 'abc' }],
    ['the file before it', [...join, '--code-file', '/x'], { POSTERN_CODE: 'abc' }, { kind: 'file', path: '/x' }],
  ])('takes the code from %s', (_, argv, environment, code) => expect(read(argv, environment)).toMatchObject({ code }));

  test('reads commands and their options', () => {
    expect(read(join)).toMatchObject({ command: 'join', root, json: false, stateDir: '/var/lib/postern-client' });
    const dashed = `-${root.slice(1)}`;
    expect(read([...join.slice(0, 4), dashed, '--json'])).toMatchObject({ command: 'join', root: dashed, json: true });
    expect(read(['leave', '--force', '--json'])).toMatchObject({ command: 'leave', force: true, json: true });
    expect(read(['status', '--state-dir', '/x'])).toMatchObject({ command: 'status', stateDir: '/x' });
    expect(read(['--help'])).toMatchObject({ command: 'help', about: undefined });
    expect(read(['join', '--help'])).toMatchObject({ command: 'help', about: 'join' });
    expect(read(['help', 'leave'])).toMatchObject({ command: 'help', about: 'leave' });
  });

  test.each([
    ['no command', [], /command is missing/],
    ['an unknown command', ['stat'], /did you mean status/],
    ['an unknown option', ['up', '--fast'], /--fast/],
    ["another's option", ['up', '--force'], /up has no option --force/],
    ['a word too many', ['up', 'now'], /word too many/],
    ['a code as an argument', [...join, '7QK2M-9ZX4T-B6VAE-H3NPW-R8YC5'], /^(?!.*7QK2M).*word too many/],
    ['no master', ['join', '--root', root], /needs --master/],
    ['no root', join.slice(0, 3), /needs --root/],
    ['an option where the root should be', [...join.slice(0, 4), '--json'], /root/],
    ['a short root', [...join.slice(0, 4), 'abc'], /thumbprint/],
    ['http', ['join', '--master', 'http://vpn.example.com', '--root', root], /https/],
    ['something else', ['join', '--master', 'vpn.example.com', '--root', root], /not an address|https/],
    ['a password in it', ['join', '--master', 'https://a:b@vpn.example.com', '--root', root], /plain address/],
  ])('refuses %s', (_, argv, message) => {
    const { kind, message: said, next } = failure(argv);
    expect(kind).toBe('usage');
    expect(said).toMatch(message);
    expect(next).toContain('--help');
  });
});
