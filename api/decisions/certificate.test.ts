import { describe, expect, test } from 'bun:test';
import { type CertificateFacts, isDue, pauseAfter } from './certificate.ts';

const day = 86_400_000;
const issued = new Date('2026-06-01T00:00:00Z');
const facts: CertificateFacts = {
  subject: 'CN=vpn.example.com',
  issuer: 'CN=An Authority',
  notBefore: issued,
  notAfter: new Date(issued.getTime() + 90 * day),
  names: ['vpn.example.com'],
};
const after = (days: number) => new Date(issued.getTime() + days * day);

describe('a certificate is due', () => {
  test.each([
    ['not while two thirds of its life are left', {}, 30, false],
    ['not while a third of its life is left', {}, 59, false],
    ['when less than a third of its life is left', {}, 61, true],
    ['when it has run out', {}, 100, true],
    ['when nobody but its own key signed it', { issuer: 'CN=vpn.example.com' }, 1, true],
    ['when it is for another name', { names: ['old.example.com'] }, 1, true],
  ])('%s', (_, change, days, due) => expect(isDue({ ...facts, ...change }, 'vpn.example.com', after(days))).toBe(due));
});

test('after failures the pauses grow, up to six hours', () =>
  expect([1, 2, 3, 20].map(pauseAfter)).toEqual([60_000, 120_000, 240_000, 6 * 3_600_000]));
