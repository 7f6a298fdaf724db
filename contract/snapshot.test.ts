import { expect, test } from 'bun:test';
import { compareVersions } from './snapshot.ts';

test.each([
  [{ epoch: 1, revision: 9 }, { epoch: 2, revision: 1 }, -1],
  [{ epoch: 2, revision: 1 }, { epoch: 1, revision: 9 }, 1],
  [{ epoch: 1, revision: 2 }, { epoch: 1, revision: 3 }, -1],
  [{ epoch: 1, revision: 3 }, { epoch: 1, revision: 3 }, 0],
])('%o against %o', (a, b, sign) => expect(Math.sign(compareVersions(a, b))).toBe(sign));
