import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { PreAuthCode } from '#contract/code.ts';
import { ClientFailure, messageOf } from './failure.ts';

/** Where the code comes from: never from arguments, which everybody on the machine can read. */
export type CodeSource =
  | { kind: 'terminal' }
  | { kind: 'file'; path: string }
  | { kind: 'stdin' }
  | { kind: 'text'; text: string };

const terminalTries = 3;
const otherWays = 'Or give the code by --code-file FILE, --code-file - (standard input) or POSTERN_CODE.';

/** @throws ClientFailure when there is no code: one that could not be read is never taken for an empty one. */
export async function readCode(source: CodeSource): Promise<PreAuthCode> {
  switch (source.kind) {
    case 'terminal':
      return askTerminal();
    case 'text':
      return parseCode(source.text, 'POSTERN_CODE');
    case 'stdin':
      return parseCode(await readInput(), 'standard input');
    case 'file':
      return parseCode(await readText(source.path), source.path);
  }
}

/** The terminal itself, since standard input may be a pipe that brings a script. */
function askTerminal(): PreAuthCode {
  let terminal: number;
  try {
    terminal = openSync('/dev/tty', 'r+');
  } catch (cause) {
    throw noCode('There is no terminal to ask for the code', `Run it in a terminal. ${otherWays}`, cause);
  }
  try {
    for (let tries = 1; ; tries += 1) {
      writeSync(terminal, 'Code: ');
      const line = readLine(terminal);
      const code = v.safeParse(PreAuthCode, line);
      if (code.success) return code.output;
      if (tries === terminalTries) throw malformed('What was typed', code.issues[0].message);
      writeSync(terminal, line.trim() === '' ? '' : `That ${code.issues[0].message}. Please type it again.\n`);
    }
  } finally {
    closeSync(terminal);
  }
}

function readLine(terminal: number): string {
  const bytes = Buffer.alloc(4096);
  let count: number;
  try {
    count = readSync(terminal, bytes, 0, bytes.length, null);
  } catch (cause) {
    throw noCode(`The terminal could not be read: ${messageOf(cause)}`, `Run it again. ${otherWays}`, cause);
  }
  if (count === 0) throw noCode('The terminal was closed before a code was typed', `Run it again. ${otherWays}`);
  return bytes.toString('utf8', 0, count);
}

async function readInput(): Promise<string> {
  const parts: Buffer[] = [];
  try {
    for await (const part of process.stdin) parts.push(Buffer.from(part));
  } catch (cause) {
    throw noCode(`Standard input could not be read: ${messageOf(cause)}`, 'Pipe the code into it.', cause);
  }
  return Buffer.concat(parts).toString('utf8');
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw noCode(`The code file could not be read: ${messageOf(cause)}`, 'Check the path after --code-file.', cause);
  }
}

function parseCode(text: string, where: string): PreAuthCode {
  if (text.trim() === '') throw noCode(`There is no code in ${where}`, 'Put the code there that your admin gave you.');
  const code = v.safeParse(PreAuthCode, text);
  if (!code.success) throw malformed(`The code in ${where}`, code.issues[0].message);
  return code.output;
}

function malformed(what: string, why: string): ClientFailure {
  return new ClientFailure(
    'usage',
    'code-malformed',
    `${what} ${why}`,
    'Nothing was sent. Compare it with the code your admin gave you, five groups of five such as 7QK2M-9ZX4T-….',
  );
}

function noCode(message: string, next: string, cause?: unknown): ClientFailure {
  return new ClientFailure('failed', 'no-code', message, next, cause);
}
