import { SignJWT } from 'jose';
import { signedTypes } from '#contract/trust.ts';
import { makeKey, useKey } from '../keys/working-keys.ts';
import type { TestMaster } from './master.ts';

export type ForgedKind = 'agent' | 'device' | 'enrolment';
/** `key` is what ties a token to its bearer: the public key of an agent or device, the code of an enrolment. */
export type Bearer = { sub: string; key: string };

type Claims = Bearer & { typ: string; kid: string; issuer: string; audience: string; alg: string; at: Date };

/** Makes tokens as the master makes them, and others that it must not take. */
export async function forgerOf({ keys, clock }: TestMaster, bearers: Record<ForgedKind, Bearer>) {
  const otherKey = await useKey(await makeKey(new Date('2036-01-01T00:00:00.000Z')));

  /** A token of this kind as the master makes it, but for what is changed. */
  const forge = (
    kind: ForgedKind,
    change: Partial<Claims> = {},
    signer: Parameters<SignJWT['sign']>[0] = keys.tokens.sign,
  ): Promise<string> => {
    const usual = { typ: signedTypes[kind], kid: keys.tokens.kid, issuer: 'postern', audience: kind, alg: 'EdDSA' };
    const claims: Claims = { ...usual, ...bearers[kind], at: clock.now, ...change };
    return new SignJWT(kind === 'enrolment' ? {} : { key: claims.key })
      .setProtectedHeader({ alg: claims.alg, typ: claims.typ, kid: claims.kid })
      .setIssuer(claims.issuer)
      .setAudience(claims.audience)
      .setSubject(claims.sub)
      .setJti(kind === 'enrolment' ? claims.key : 'x')
      .setIssuedAt(claims.at)
      .setExpirationTime(new Date(claims.at.getTime() + 600_000))
      .sign(signer);
  };

  /** Each with what is wrong with it. */
  const forgeries = async (kind: ForgedKind): Promise<[string, string][]> => {
    const good = await forge(kind);
    const [, payload = '', signature = ''] = good.split('.');
    const other = kind === 'agent' ? 'device' : 'agent';
    const headless = (header: object) => `${base64url({ alg: 'none', typ: signedTypes[kind], ...header })}.${payload}`;
    const hmac = (secret: Buffer) => forge(kind, { alg: 'HS256' }, secret);
    const anHourAgo = new Date(clock.now.getTime() - 3_600_000);
    const ofEarlierBearer: [string, string] = [
      'is of an earlier bearer of that name',
      await forge(kind, { key: otherKey.x }),
    ];
    return [
      ...(kind === 'enrolment' ? [] : [ofEarlierBearer]),
      ['has alg none', `${headless({})}.`],
      ['has alg none and the right kid', `${headless({ kid: keys.tokens.kid })}.`],
      ['has alg none and a signature', `${headless({ kid: keys.tokens.kid })}.${signature}`],
      ['is forged', await forge(kind, { kid: otherKey.kid }, otherKey.sign)],
      ['is forged under our kid', await forge(kind, {}, otherKey.sign)],
      ['has our public key as an HMAC secret', await hmac(Buffer.from(keys.tokens.x, 'base64url'))],
      ['has our public key as text as an HMAC secret', await hmac(Buffer.from(keys.tokens.x))],
      ['is altered', good.replace(/^([^.]*\.)(...)/, '$1abc')],
      ['has no signature', good.replace(/[^.]*$/, '')],
      ['is signed with the key for bundles', await forge(kind, {}, keys.bundles.sign)],
      [
        'is signed with the key for bundles and says so',
        await forge(kind, { kid: keys.bundles.kid }, keys.bundles.sign),
      ],
      ['has a path for a kid', await forge(kind, { kid: '../../etc/passwd' })],
      ['is from another issuer', await forge(kind, { issuer: 'n1' })],
      ['has the audience of another kind', await forge(kind, { audience: other })],
      ['has the type of another kind', await forge(kind, { typ: signedTypes[other] })],
      ['is the statement behind a code', await forge(kind, { typ: signedTypes.code, audience: 'code' })],
      ['is about nobody we know', await forge(kind, { sub: 'n9' })],
      ['has expired', await forge(kind, { at: anHourAgo })],
    ];
  };

  return { forge, forgeries };
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
