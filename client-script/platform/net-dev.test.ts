import { expect, test } from 'bun:test';
import { parseNetDev } from './net-dev.ts';

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
