import { type Work, work } from './work.ts';

/** The thread that reads, checks and compares documents: one question after the other, each answered in JSON. */

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<string>) => {
  const { kind, question }: { kind: keyof Work; question: never } = JSON.parse(data);
  postMessage(JSON.stringify(work[kind](question)));
};
