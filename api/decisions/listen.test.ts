import { expect, test } from 'bun:test';
import { parseListen } from './listen.ts';

test.each([
  ['0.0.0.0:8443', { hostname: '0.0.0.0', port: 8443 }],
  ['[::1]:8443', { hostname: '::1', port: 8443 }],
  ['localhost:0', { hostname: 'localhost', port: 0 }],
  ['::1:8443', undefined],
  ['8443', undefined],
  ['host:99999', undefined],
  ['host:', undefined],
])('%s', (text, address) => expect(parseListen(text)).toEqual(address));
