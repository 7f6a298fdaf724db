import { afterAll, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../fixture/program.ts';
import { openCounters, parseNetDev } from './net-dev.ts';

const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 5270142   21051    0    0    0     0          0         0  5270142   21051    0    0    0     0       0          0
postern01: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0
postern0:  123456    789    0    0    0     0          0         0  654321     987    0    0    0     0       0          0
`;

test.each([
  ['postern0', { received: 789, sent: 987 }],
  ['lo', { received: 21_051, sent: 21_051 }],
  ['wg0', undefined],
])('the packets of %s', (name, expected) => expect(parseNetDev(text, name)).toEqual(expected));

const folder = temporaryFolder();
afterAll(() => folder.remove());

test('are read anew each time, however many interfaces stand before it', () => {
  const path = join(folder.path, 'dev');
  const others = Array.from({ length: 200 }, (_, index) => `veth${index}: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n`).join('');
  writeFileSync(path, others + text);
  const counters = openCounters(path);
  expect(counters('postern0')).toEqual({ received: 789, sent: 987 });
  writeFileSync(path, (others + text).replace('789', '790'));
  expect(counters('postern0')).toEqual({ received: 790, sent: 987 });
  expect(counters('wg0')).toBeUndefined();
  expect(openCounters(join(folder.path, 'none'))('postern0')).toBeUndefined();
});
