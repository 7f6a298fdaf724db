import { type CryptoKey, decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { signedTypes } from '#contract/trust.ts';
import { recall, remember } from './known-tokens.ts';
import { importEd25519, publicJwk, type TokenKey, type WorkingKeyPair } from './working-keys.ts';

/** The JWTs that the master makes for itself and for others, and those that others sign to show who they are. */

const issuer = 'postern';
const masterAudience = 'postern-master';
const accessSeconds = 600;
const assertionSeconds = 60;
/** Clocks of nodes and devices may be off by this much. */
const skewSeconds = 60;

/** What a token claims, after its signature, type, audience and time were found right. */
export type Verified<T> = { ok: true; claims: T } | { ok: false; reason: 'invalid' | 'expired' };

export type CodeClaims = { jti: string; sub: string; hash: string; epoch: number };
export type EnrolmentClaims = { sub: string; jti: string };
/** `key` is the caller's own public key: a new node under an old name does not inherit the old one's token. */
export type AccessClaims = { sub: string; key: string; exp: number };

/** The statement that backs a code. It names the code's hash, so it redeems nothing by itself. */
export function signCodeBacking(claims: CodeClaims, expiresAt: Date, key: WorkingKeyPair, now: Date): Promise<string> {
  const token = new SignJWT({ hash: claims.hash, epoch: claims.epoch })
    .setAudience('code')
    .setSubject(claims.sub)
    .setJti(claims.jti)
    .setIssuedAt(now)
    .setExpirationTime(expiresAt);
  return signOurs(token, signedTypes.code, key);
}

export async function verifyCodeBacking(jwt: string, key: TokenKey, now: Date): Promise<Verified<CodeClaims>> {
  const verified = await verifyOurs(jwt, 'code', signedTypes.code, key, now);
  if (!verified.ok) return verified;
  const { jti, sub, hash, epoch } = verified.claims;
  if (typeof jti !== 'string' || typeof sub !== 'string' || typeof hash !== 'string' || typeof epoch !== 'number')
    return { ok: false, reason: 'invalid' };
  return { ok: true, claims: { jti, sub, hash, epoch } };
}

/**
 * Issued at the start of the lease, so that a repeated answer is the same. It outlives the code by a lease: who comes
 * late is told that the code has expired, rather than that the token means nothing.
 */
export function signEnrolmentToken(
  enrolment: { id: string; codeId: string; leasedAt: string; codeExpiresAt: string },
  key: WorkingKeyPair,
): Promise<string> {
  const token = new SignJWT({})
    .setAudience('enrolment')
    .setSubject(enrolment.id)
    .setJti(enrolment.codeId)
    .setIssuedAt(new Date(enrolment.leasedAt))
    .setExpirationTime(new Date(Date.parse(enrolment.codeExpiresAt) + accessSeconds * 1000));
  return signOurs(token, signedTypes.enrolment, key);
}

export async function verifyEnrolmentToken(jwt: string, key: TokenKey, now: Date): Promise<Verified<EnrolmentClaims>> {
  const verified = await verifyOurs(jwt, 'enrolment', signedTypes.enrolment, key, now);
  if (!verified.ok) return verified;
  const { sub, jti } = verified.claims;
  return sub === undefined || jti === undefined ? { ok: false, reason: 'invalid' } : { ok: true, claims: { sub, jti } };
}

/** A ten-minute token for an agent or a device. */
export async function signAccessToken(
  kind: 'agent' | 'device',
  bearer: { sub: string; key: string },
  key: WorkingKeyPair,
  now: Date,
): Promise<{ token: string; expiresAt: string }> {
  const expiresAt = new Date((Math.floor(now.getTime() / 1000) + accessSeconds) * 1000);
  const token = new SignJWT({ key: bearer.key })
    .setAudience(kind)
    .setSubject(bearer.sub)
    .setJti(Bun.randomUUIDv7())
    .setIssuedAt(now)
    .setExpirationTime(expiresAt);
  return { token: await signOurs(token, signedTypes[kind], key), expiresAt: expiresAt.toISOString() };
}

export async function verifyAccessToken(
  kind: 'agent' | 'device',
  jwt: string,
  key: TokenKey,
  now: Date,
): Promise<Verified<AccessClaims>> {
  const verified = await verifyOurs(jwt, kind, signedTypes[kind], key, now);
  if (!verified.ok) return verified;
  const { sub, key: bearerKey, exp } = verified.claims;
  if (sub === undefined || typeof bearerKey !== 'string' || exp === undefined) return { ok: false, reason: 'invalid' };
  return { ok: true, claims: { sub, key: bearerKey, exp } };
}

/** What a token of ours says it is. Nothing is checked yet. */
export function claimedKind(token: string): 'agent' | 'device' | 'enrolment' | undefined {
  try {
    const { typ } = decodeProtectedHeader(token);
    return (['agent', 'device', 'enrolment'] as const).find((kind) => signedTypes[kind] === typ);
  } catch {
    return undefined;
  }
}

/** Who an assertion says it is from. Nothing is checked yet: it only tells which key to check it with. */
export function claimedIssuer(assertion: string): string | undefined {
  try {
    return decodeJwt(assertion).iss;
  } catch {
    return undefined;
  }
}

/** Checks an assertion that an agent or a device signed with its own key `x`. */
export async function verifyAssertion(
  kind: 'agent' | 'device',
  assertion: string,
  x: string,
  sender: string,
  now: Date,
): Promise<Verified<{ jti: string; exp: number }>> {
  const verified = await verify(assertion, await importEd25519(publicJwk(x)), {
    issuer: sender,
    audience: masterAudience,
    typ: kind === 'agent' ? signedTypes.agentAssertion : signedTypes.deviceAssertion,
    clockTolerance: skewSeconds,
    maxTokenAge: assertionSeconds,
    currentDate: now,
  });
  if (!verified.ok) return verified;
  const { jti, exp, iat } = verified.claims;
  if (jti === undefined || jti.length > 128 || exp === undefined || iat === undefined || exp - iat > assertionSeconds)
    return { ok: false, reason: 'invalid' };
  return { ok: true, claims: { jti, exp: exp + skewSeconds } };
}

async function verifyOurs(
  jwt: string,
  audience: string,
  typ: string,
  key: TokenKey,
  now: Date,
): Promise<Verified<JWTPayload>> {
  const retired = key.retired?.filter(({ notAfter }) => Date.parse(notAfter) >= now.getTime()) ?? [];
  const keys: readonly WorkingKeyPair[] = [key, ...retired];
  for (const one of keys) {
    const claims = recall(one, typ, jwt);
    if (claims?.exp !== undefined)
      return claims.exp > Math.floor(now.getTime() / 1000) ? { ok: true, claims } : { ok: false, reason: 'expired' };
  }
  let signer = key;
  const keyOf = ({ kid }: { kid?: string }): CryptoKey => {
    const found = keys.find((one) => one.kid === kid);
    if (found === undefined) throw new errors.JWKSNoMatchingKey();
    signer = found;
    return found.verify;
  };
  const requiredClaims = ['exp', 'iat', 'sub', 'jti'];
  const verified = await verify(jwt, keyOf, { issuer, audience, typ, currentDate: now, requiredClaims });
  if (verified.ok) remember(signer, typ, jwt, verified.claims);
  return verified;
}

/** Signs a token that we will be shown again. */
async function signOurs(token: SignJWT, typ: string, key: WorkingKeyPair): Promise<string> {
  const jwt = await token.setProtectedHeader({ alg: 'EdDSA', typ, kid: key.kid }).setIssuer(issuer).sign(key.sign);
  remember(key, typ, jwt, decodeJwt(jwt));
  return jwt;
}

async function verify(
  jwt: string,
  key: CryptoKey | ((header: { kid?: string }) => CryptoKey),
  options: Parameters<typeof jwtVerify>[2],
): Promise<Verified<JWTPayload>> {
  try {
    const withAlgorithm = { ...options, algorithms: ['EdDSA'] };
    const { payload } =
      typeof key === 'function' ? await jwtVerify(jwt, key, withAlgorithm) : await jwtVerify(jwt, key, withAlgorithm);
    return { ok: true, claims: payload };
  } catch (error) {
    if (error instanceof errors.JWTExpired) return { ok: false, reason: 'expired' };
    if (error instanceof errors.JOSEError || error instanceof TypeError) return { ok: false, reason: 'invalid' };
    throw error;
  }
}
