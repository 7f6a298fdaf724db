import { expect, test } from 'bun:test';
import { codeFromBytes } from '#contract/code.ts';
import { loggedPath } from './logged-path.ts';

const code = codeFromBytes(new Uint8Array(15).fill(0x5a));

test.each([
  ['/v1/users', '/v1/users'],
  ['/swagger/assets/swagger-ui-bundle.js', '/swagger/assets/swagger-ui-bundle.js'],
  ['/v1/nodes/n1', '/v1/nodes/n1'],
  ['/v1/users/0193b0a4-7c1e-7d2a-9f3e-2a6b8c4d1e5f/codes', '/v1/users/0193b0a4-7c1e-7d2a-9f3e-2a6b8c4d1e5f/codes'],
  ['/v1/users/by-email/ana@example.com', '/v1/users/by-email/…'],
  [`/v1/codes/${code}`, '/v1/codes/…'],
  [`/v1/codes/${code.toLowerCase()}`, '/v1/codes/…'],
  [`/v1/codes/${code.toLowerCase().replaceAll('-', '')}`, '/v1/codes/…'],
  ['/v1/tokens/pst_8Zb1XoQ0m3uV7yKc2dFhJ5nRtW9sLgPqAeEiUoYxTzM', '/v1/tokens/…'],
  ['/v1/users/a338b162-5b04-4072-874e-c860a3a0214e', '/v1/users/…'],
  ['/v1/tokens/%70st_a', '/v1/tokens/…'],
])('%s is logged as %s', (path, logged) => expect(loggedPath(path)).toBe(logged));
