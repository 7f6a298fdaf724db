import { createInterface } from 'node:readline';

/** The other side of `asked.ts`: answers each line of stdin with one of stdout, several at the same time. */
export async function answerAll<Ask>(answerTo: (ask: Ask) => Promise<unknown> | unknown): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, ask }: { id: number; ask: Ask } = JSON.parse(line);
    void Promise.resolve(answerTo(ask)).then((answer) => console.log(JSON.stringify({ id, answer })));
  }
}
