import { describe, expect, test } from 'bun:test';
import { signEnrolmentToken, verifyEnrolmentToken } from './tokens.ts';
import { makeKey, useKey } from './working-keys.ts';

const at = (minute: number) => new Date(Date.UTC(2026, 11, 1, 8, minute));
const newKey = async (notAfter = at(59)) => useKey(await makeKey(notAfter));
/** Good until minute 30. */
const enrolment = {
  id: 'device',
  codeId: 'code',
  leasedAt: at(0).toISOString(),
  codeExpiresAt: at(20).toISOString(),
};
const claims = { sub: 'device', jti: 'code' };

describe('a token that was seen before', () => {
  test('expires all the same', async () => {
    const key = await newKey();
    const token = await signEnrolmentToken(enrolment, key);
    expect(await verifyEnrolmentToken(token, key, at(29))).toMatchObject({ ok: true, claims });
    expect(await verifyEnrolmentToken(token, key, at(30))).toEqual({ ok: false, reason: 'expired' });
  });

  test('is nothing to another key', async () => {
    const token = await signEnrolmentToken(enrolment, await newKey());
    expect(await verifyEnrolmentToken(token, await newKey(), at(1))).toEqual({ ok: false, reason: 'invalid' });
  });

  test('ends with the retired key that signed it', async () => {
    const former = await newKey(at(10));
    const key = { ...(await newKey()), retired: [former] };
    const token = await signEnrolmentToken(enrolment, former);
    expect(await verifyEnrolmentToken(token, key, at(9))).toMatchObject({ ok: true, claims });
    expect(await verifyEnrolmentToken(token, key, at(11))).toEqual({ ok: false, reason: 'invalid' });
  });

  test('is not that token with one bit changed', async () => {
    const key = await newKey();
    const token = await signEnrolmentToken(enrolment, key);
    const changed = `${token.slice(0, -3)}${token.at(-3) === 'A' ? 'B' : 'A'}${token.slice(-2)}`;
    expect(await verifyEnrolmentToken(changed, key, at(1))).toEqual({ ok: false, reason: 'invalid' });
  });
});

test('a token that was signed elsewhere is checked, and known from then on', async () => {
  const file = await makeKey(at(59));
  const token = await signEnrolmentToken(enrolment, await useKey(file));
  const key = await useKey(file);
  for (const minute of [1, 2]) expect(await verifyEnrolmentToken(token, key, at(minute))).toMatchObject({ claims });
});
