import { createInterface } from 'node:readline/promises';

/** Asks a person at the terminal; anything but yes is no. @throws Error when there is no terminal to ask at. */
export async function confirm(question: string, instead: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new Error(`Nobody can be asked here. ${instead}`);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(?:es)?$/i.test((await asking.question(`${question} [y/N] `)).trim());
  } finally {
    asking.close();
  }
}
