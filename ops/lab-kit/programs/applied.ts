/**
 * Says when an agent puts a revision in force: `bun applied.ts FILE`, the agent's own note of it. A line is `AT REVISION`,
 * at in ms since 1970.
 */
import { readFileSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const file = process.argv[2] ?? '';
const everyMs = 3;
let last = '';
let lastInode = -1;

for (;;) {
  try {
    // It is written beside and put in place, so each has a number of its own.
    const { ino, mtimeMs } = statSync(file);
    if (ino + mtimeMs !== lastInode) {
      const at = performance.timeOrigin + performance.now();
      const { revision } = JSON.parse(readFileSync(file, 'utf8'));
      if (`${revision}` !== last) console.log(`${at} ${revision}`);
      last = `${revision}`;
      lastInode = ino + mtimeMs;
    }
  } catch {
    // It is not there yet.
  }
  await pause(everyMs);
}
