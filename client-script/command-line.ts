import { parseArgs } from 'node:util';
import * as v from 'valibot';
import { Thumbprint } from '#contract/key.ts';
import type { CodeSource } from './code-source.ts';
import { ClientFailure } from './failure.ts';
import { defaultStateDir } from './state-files.ts';

export const commands = ['join', 'up', 'down', 'status', 'leave', 'watch'] as const;
export type CommandName = (typeof commands)[number];

export type Invocation = { json: boolean; stateDir: string } & (
  | { command: 'help'; about: CommandName | undefined }
  | { command: 'version' }
  | { command: 'join'; master: URL; root: Thumbprint; name: string | undefined; code: CodeSource }
  | { command: 'leave'; force: boolean }
  | { command: 'up' | 'down' | 'status' | 'watch' }
);

const common = {
  'state-dir': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const options = {
  ...common,
  master: { type: 'string' },
  root: { type: 'string' },
  name: { type: 'string' },
  'code-file': { type: 'string' },
  force: { type: 'boolean' },
  version: { type: 'boolean' },
} as const;

const allowed: Record<CommandName, readonly string[]> = {
  join: ['master', 'root', 'name', 'code-file'],
  up: [],
  down: [],
  status: [],
  leave: ['force'],
  watch: [],
};

/**
 * What the words on the command line ask for.
 *
 * @throws ClientFailure usage
 */
export function readCommandLine(argv: readonly string[], environment: Record<string, string | undefined>): Invocation {
  const { values, positionals } = parse(argv);
  const base = { json: values.json ?? false, stateDir: values['state-dir'] ?? defaultStateDir };
  if (values.version) return { ...base, command: 'version' };
  const [word, ...more] = positionals;
  const command = commands.find((name) => name === (word === 'help' ? more[0] : word));
  if (values.help || word === 'help') return { ...base, command: 'help', about: command };
  if (word === undefined) throw usage('A command is missing');
  if (command === undefined) throw usage(`There is no command "${word}"${suggestion(word)}`);
  // Not repeated: it may be a code, which would then stand in a log.
  if (more.length > 0)
    throw usage(`There is a word too many after ${command}; a code is asked for, not an argument`, command);
  const stray = Object.keys(values).find((name) => !(name in common) && !allowed[command].includes(name));
  if (stray !== undefined) throw usage(`${command} has no option --${stray}`, command);

  if (command === 'leave') return { ...base, command, force: values.force ?? false };
  if (command !== 'join') return { ...base, command };
  const root = v.safeParse(Thumbprint, values.root);
  if (values.root === undefined) throw usage('join needs --root, the thumbprint in the join line', 'join');
  if (!root.success) throw usage(`--root ${root.issues[0].message}`, 'join');
  return {
    ...base,
    command,
    master: readMaster(values.master),
    root: root.output,
    name: values.name,
    code: codeSource(values['code-file'], environment),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: withDashedRoot(argv), options, allowPositionals: true, strict: true });
  } catch (error) {
    const text = error instanceof Error ? error.message.split('.')[0] : String(error);
    throw usage(text ?? '');
  }
}

/** One thumbprint in 64 begins with a dash, which would be taken for an option of its own. */
function withDashedRoot(argv: readonly string[]): string[] {
  const at = argv.indexOf('--root');
  const value = argv[at + 1];
  if (at < 0 || value === undefined || !/^-[^-]/.test(value)) return [...argv];
  return [...argv.slice(0, at), `--root=${value}`, ...argv.slice(at + 2)];
}

function readMaster(text: string | undefined): URL {
  if (text === undefined) throw usage('join needs --master, the address in the join line', 'join');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '')
    throw usage(`--master "${text}" is not an address such as https://vpn.example.com:8443`, 'join');
  if (url.protocol !== 'https:') throw usage(`--master must start with https://, and "${text}" does not`, 'join');
  if (url.username !== '' || url.search !== '' || url.hash !== '')
    throw usage('--master must be a plain address, without a name, a query or a fragment', 'join');
  return url;
}

function codeSource(file: string | undefined, environment: Record<string, string | undefined>): CodeSource {
  if (file === '-') return { kind: 'stdin' };
  if (file !== undefined) return { kind: 'file', path: file };
  const text = environment.POSTERN_CODE;
  return text === undefined ? { kind: 'terminal' } : { kind: 'text', text };
}

function suggestion(word: string): string {
  const near = commands.find((name) => name !== 'watch' && (name.startsWith(word) || distance(name, word) <= 2));
  return near === undefined ? '' : `; did you mean ${near}?`;
}

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function usage(message: string, command?: CommandName): ClientFailure {
  const help = command === undefined ? 'postern-client --help' : `postern-client ${command} --help`;
  return new ClientFailure('usage', 'usage', message, `See \`${help}\`.`);
}
