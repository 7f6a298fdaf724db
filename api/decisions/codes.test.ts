import { describe, expect, test } from 'bun:test';
import { type CodeFacts, codeState, confirm, leaseEnd, redeem } from './codes.ts';

const at = (minutes: number) => new Date(Date.UTC(2026, 11, 1, 8, minutes));
const moment = (minutes: number) => at(minutes).toISOString();

const ana = { publicKey: 'ana', credentialKey: 'ana-signs' };
const ben = { publicKey: 'ben', credentialKey: 'ben-signs' };
const thief = { publicKey: 'ana', credentialKey: 'thief-signs' };

const open: CodeFacts = {
  expiresAt: moment(60),
  spentAt: null,
  withdrawnAt: null,
  userDisabled: false,
  holder: null,
};
const leased: CodeFacts = { ...open, holder: { ...ana, registered: false, leasedUntil: moment(10) } };
const spent: CodeFacts = {
  ...open,
  spentAt: moment(1),
  holder: { ...ana, registered: true, leasedUntil: moment(10) },
};
const revoked: CodeFacts = { ...spent, holder: null };
const withdrawn: CodeFacts = { ...open, withdrawnAt: moment(1) };

describe('redeem', () => {
  test.each([
    ['open', open, ana, 5, 'lease'],
    ['open, user disabled', { ...open, userDisabled: true }, ana, 5, 'permission-denied'],
    ['open, at its expiry', open, ana, 60, 'code-expired'],
    ['leased, same device', leased, ana, 5, 'repeat'],
    ['leased, another device', leased, ben, 5, 'code-used alert'],
    ['leased, stolen key', leased, thief, 5, 'code-used alert'],
    ['lease over, same device', leased, ana, 10, 'lease'],
    ['lease over, another', leased, ben, 10, 'lease'],
    ['spent, same device', spent, ana, 30, 'repeat'],
    ['spent, another device', spent, ben, 30, 'code-used alert'],
    ['spent, same, too late', spent, ana, 60, 'code-expired'],
    ['spent, another, late', spent, ben, 90, 'code-used alert'],
    ['spent, user disabled', { ...spent, userDisabled: true }, ana, 30, 'permission-denied'],
    ['revoked, same device', revoked, ana, 30, 'code-used'],
    ['revoked, much later', revoked, ana, 90, 'code-used'],
    ['withdrawn', withdrawn, ana, 30, 'code-expired'],
  ] as const)('%s', (_, code, keys, minutes, outcome) => expect(said(redeem(code, keys, at(minutes)))).toBe(outcome));
});

describe('confirm', () => {
  const reserved = { publicKey: 'ana', address: '10.0.0.4' };
  const other = { publicKey: 'ana', address: '10.0.0.5' };
  const stranger = { publicKey: 'ben', address: '10.0.0.4' };

  test.each([
    ['leased', leased, reserved, reserved, 5, 'register'],
    ['leased, other address', leased, reserved, other, 5, 'address-mismatch'],
    ['leased, other key', leased, reserved, stranger, 5, 'code-used alert'],
    ['lease over', leased, reserved, reserved, 10, 'lease-expired'],
    ['reservation gone', open, undefined, reserved, 15, 'lease-expired'],
    ['spent, same device', spent, reserved, reserved, 30, 'repeat'],
    ['spent, other address', spent, reserved, other, 30, 'address-mismatch'],
    ['spent, other key', spent, reserved, stranger, 30, 'code-used alert'],
    ['spent, too late', spent, reserved, reserved, 60, 'code-expired'],
    ['revoked', revoked, undefined, reserved, 30, 'code-used'],
    ['withdrawn', withdrawn, undefined, reserved, 30, 'code-expired'],
    ['user disabled', { ...leased, userDisabled: true }, reserved, reserved, 5, 'permission-denied'],
  ] as const)('%s', (_, code, held, claimed, minutes, outcome) =>
    expect(said(confirm(code, held, claimed, at(minutes)))).toBe(outcome),
  );
});

test.each([
  ['open', open, 5],
  ['leased', leased, 5],
  ['open', leased, 10],
  ['spent', spent, 99],
  ['spent', revoked, 99],
  ['withdrawn', withdrawn, 99],
  ['expired', open, 60],
] as const)('a code is %s', (state, code, minutes) => expect(codeState(code, at(minutes))).toBe(state));

test('a lease lasts ten minutes, but no longer than the code', () => {
  expect(leaseEnd(moment(60), at(5))).toBe(moment(15));
  expect(leaseEnd(moment(12), at(5))).toBe(moment(12));
});

function said(outcome: ReturnType<typeof redeem> | ReturnType<typeof confirm>): string {
  return outcome.kind === 'refuse' ? `${outcome.reason}${outcome.alert ? ' alert' : ''}` : outcome.kind;
}
