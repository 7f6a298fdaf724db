import { writeSync } from 'node:fs';

/** Where log lines go: those of one turn of the event loop in one write, and the last ones when the program ends. */
export function logLines(file: number): { write(line: string): void } {
  let waiting = '';
  const flush = () => {
    const lines = waiting;
    waiting = '';
    if (lines !== '') writeWhole(file, lines);
  };
  process.on('exit', flush);
  return {
    write(line) {
      if (waiting === '') setImmediate(flush);
      waiting += line;
    },
  };
}

/** A pipe that is full takes a part, or nothing for a while. */
function writeWhole(file: number, text: string): void {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(file, bytes));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return;
      Bun.sleepSync(1);
    }
  }
}
