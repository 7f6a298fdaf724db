import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import * as v from 'valibot';
import { PreAuthCode } from '#contract/code.ts';
import { StateProblem } from './state.ts';

const terminalTries = 3;
const ways = 'Give it by --code-file FILE, --code-file - (standard input) or POSTERN_CODE.';

/**
 * The code for this machine: from a file, from the environment, or asked for at the terminal, which is there also when
 * standard input is a pipe. Never from arguments, which everybody on the machine can read. The environment forgets it,
 * so that no program that is started knows it.
 *
 * @throws StateProblem when there is none.
 */
export function readCode(file: string | undefined): PreAuthCode {
  const fromEnvironment = process.env.POSTERN_CODE;
  delete process.env.POSTERN_CODE;
  if (file !== undefined) return parse(read(file), file === '-' ? 'standard input' : file);
  if (fromEnvironment !== undefined) return parse(fromEnvironment, 'POSTERN_CODE');
  return askTerminal();
}

function read(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new StateProblem(`The code in ${file} could not be read. ${ways}`, { cause });
  }
}

function parse(text: string, where: string): PreAuthCode {
  const code = v.safeParse(PreAuthCode, text.trim());
  if (code.success) return code.output;
  throw new StateProblem(`The code in ${where} ${code.issues[0].message}. Nothing was sent.`);
}

function askTerminal(): PreAuthCode {
  let terminal: number;
  try {
    terminal = openSync('/dev/tty', 'r+');
  } catch (cause) {
    throw new StateProblem(`There is no terminal to ask for the code. ${ways}`, { cause });
  }
  try {
    for (let tries = 1; ; tries += 1) {
      writeSync(terminal, 'Code: ');
      const bytes = Buffer.alloc(4096);
      const line = bytes.toString('utf8', 0, readSync(terminal, bytes, 0, bytes.length, null));
      const code = v.safeParse(PreAuthCode, line);
      if (code.success) return code.output;
      if (line === '' || tries === terminalTries)
        throw new StateProblem(`What was typed ${code.issues[0].message}. Nothing was sent.`);
      writeSync(terminal, `That ${code.issues[0].message}. Please type it again.\n`);
    }
  } finally {
    closeSync(terminal);
  }
}
