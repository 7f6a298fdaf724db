import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

/** Acts that need the files of the master's own machine: keys never leave it, so no API does these. */

const masterMain = resolve(import.meta.dir, '../../api/main.ts');

/** The act needs the master's files, or failed; the message says what to do. */
export class LocalProblem extends Error {
  override readonly name = 'LocalProblem';
  readonly code = 'local';
}

/**
 * Runs the master's own command line on its state directory.
 *
 * @returns the line of JSON that it printed.
 * @throws LocalProblem with what it said.
 */
export async function runMaster(stateDir: string, words: readonly string[], stdin = ''): Promise<string> {
  if (!existsSync(join(stateDir, 'master')))
    throw new LocalProblem(`There is no master in ${stateDir}. Run this on the master's machine, as root.`);
  return callMaster([...words, '--state-dir', stateDir], stdin);
}

/** The same for what needs no state directory. @throws LocalProblem with what it said. */
export async function callMaster(words: readonly string[], stdin = ''): Promise<string> {
  const child = Bun.spawn([process.execPath, masterMain, ...words], {
    stdin: Buffer.from(stdin),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (exitCode !== 0) throw new LocalProblem(stderr.trim().replace(/^postern-master: /, ''));
  return stdout.trim();
}

/** The recovery passphrase: from a file, from standard input, or asked for on the terminal without showing it. */
export async function readPassphrase(file: string | undefined): Promise<string> {
  if (file !== undefined) return readFileSync(file, 'utf8').trim();
  if (!process.stdin.isTTY) return (await Bun.stdin.text()).trim();
  process.stderr.write('Recovery passphrase (it is not shown): ');
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return (await terminal.question('')).trim();
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
