import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What becomes of the text: it is done with, is edited again, or stays where it is for later. */
type Verdict = 'done' | 'again' | 'kept';

/**
 * Lets a person edit a text and hands it to `judge`, again and again while that says so. What was typed is never lost: if
 * it is not done with, or `judge` throws, the file stays, and it is said where.
 */
export async function editText(
  text: string,
  suffix: string,
  judge: (edited: string, path: string) => Promise<Verdict>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-'));
  const path = join(folder, `edited.${suffix}`);
  writeFileSync(path, text, { mode: 0o600 });
  let verdict: Verdict = 'kept';
  try {
    do {
      await edit(path);
      verdict = 'kept';
      verdict = await judge(readFileSync(path, 'utf8'), path);
    } while (verdict === 'again');
  } finally {
    if (verdict === 'done' || readFileSync(path, 'utf8') === text) rmSync(folder, { recursive: true });
    else process.stderr.write(`Your text is in ${path}.\n`);
  }
}

/** The words of the variable, split at blanks: no shell reads them, so nothing in the path or in them is a command. */
async function edit(path: string): Promise<void> {
  const [program = 'vi', ...words] = (process.env.VISUAL || process.env.EDITOR || 'vi').trim().split(/\s+/);
  let exitCode: number;
  try {
    const child = Bun.spawn([program, ...words, path], { stdin: 'inherit', stdout: 'inherit', stderr: 'inherit' });
    exitCode = await child.exited;
  } catch (cause) {
    throw new Error(`The editor ${program} cannot be started. Name another one: EDITOR=nano postern policy edit`, {
      cause,
    });
  }
  if (exitCode !== 0) throw new Error(`The editor ${program} ended with ${exitCode}; nothing was changed.`);
}
