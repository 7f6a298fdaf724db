import { expect, test } from 'bun:test';
import { certificateNames } from './certificate-names.ts';

test.each([
  [[], ['n1.corp.internal']],
  [
    ['wiki.corp.internal', 'git.corp.internal', 'wiki.corp.internal'],
    ['git.corp.internal', 'n1.corp.internal', 'wiki.corp.internal'],
  ],
  [['example.com', 'xcorp.internal', 'corp.internal.example.com'], ['n1.corp.internal']],
  [
    ['n1.corp.internal', 'corp.internal'],
    ['corp.internal', 'n1.corp.internal'],
  ],
])('with the fronts %j a certificate is for %j', (fronts, names) =>
  expect(certificateNames('n1', fronts, 'corp.internal')).toEqual(names),
);
