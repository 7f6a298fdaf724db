import { beforeAll, describe, expect, test } from 'bun:test';
import { signedTypes, type TrustList } from '#contract/trust.ts';
import { verifyBundle, verifyManifest } from './bundle.ts';
import { ClientFailure } from './failure.ts';
import {
  type Authority,
  bundleWith,
  makeAuthority,
  makeSigner,
  publicKeyOf,
  type Signer,
} from './fixture/authority.ts';
import { verifyTrustList } from './trust.ts';

const deviceKey = publicKeyOf('device');
const bundle = bundleWith({ deviceKey });
const at = Date.now();

let authority: Authority;
let stranger: Signer;
let trust: TrustList;
beforeAll(async () => {
  authority = await makeAuthority([]);
  stranger = await makeSigner();
  trust = await verifyTrustList(await authority.trust(), authority.root);
});

async function refusedFor(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ClientFailure && error.kind === 'untrusted') return error.code;
    throw error;
  }
  return 'accepted';
}

describe('a trust list', () => {
  const header = (signer: Signer) => ({ jwk: { kty: 'OKP', crv: 'Ed25519', x: signer.x } });
  const cases: Record<string, () => Promise<string> | string> = {
    'wrong-root': () => stranger.sign(signedTypes.trust, trust, header(stranger)),
    'trust-unreadable': () => 'Welcome to the hotel',
    'trust-unsigned': async () => {
      // The right key is shown, another one signed.
      return stranger.sign(signedTypes.trust, trust, header(authority.rootSigner));
    },
  };
  test.each(Object.keys(cases))('is refused: %s', async (code) =>
    expect(await refusedFor(verifyTrustList((await cases[code]?.()) ?? '', authority.root))).toBe(code),
  );
  test('is refused when it is another kind of text', async () => {
    const other = await authority.rootSigner.sign(signedTypes.bundle, trust, header(authority.rootSigner));
    expect(await refusedFor(verifyTrustList(other, authority.root))).toBe('trust-unsigned');
  });
  test('is refused without a key in it', async () => {
    const bare = await authority.rootSigner.sign(signedTypes.trust, trust);
    expect(await refusedFor(verifyTrustList(bare, authority.root))).toBe('trust-unreadable');
  });
});

describe('a bundle', () => {
  const verify = (jws: string, notOlderThan?: { epoch: number; revision: number }) =>
    refusedFor(verifyBundle(jws, trust, { deviceKey, notOlderThan }, { at }));

  test.each([
    ['is taken when it is the first', undefined, 'accepted'],
    ['is taken when it is newer', { epoch: 1, revision: 6 }, 'accepted'],
    ['is taken when it is the same', { epoch: 1, revision: 7 }, 'accepted'],
    ['is refused when it is older', { epoch: 1, revision: 8 }, 'bundle-older'],
    ['is refused from an older epoch', { epoch: 2, revision: 1 }, 'bundle-older'],
  ])('%s', async (_, have, outcome) => expect(await verify(await authority.bundle(bundle), have)).toBe(outcome));

  const sign = (signer: () => Signer, typ: string, kid?: () => string) =>
    signer().sign(typ, bundle, kid === undefined ? undefined : { kid: kid() });
  test.each([
    ['signed by a stranger', () => sign(() => stranger, signedTypes.bundle), 'key-unknown'],
    [
      'signed by a stranger in our name',
      () =>
        sign(
          () => stranger,
          signedTypes.bundle,
          () => authority.bundles.kid,
        ),
      'signature-invalid',
    ],
    ['signed with a key for something else', () => sign(() => authority.snapshots, signedTypes.bundle), 'key-unknown'],
    ['that is another kind of text', () => sign(() => authority.bundles, signedTypes.snapshot), 'signature-invalid'],
    [
      "that is another device's",
      () => authority.bundle({ ...bundle, deviceKey: publicKeyOf('other') }),
      'bundle-of-another',
    ],
    ['with an address outside its pool', () => authority.bundle({ ...bundle, address: '10.1.2.3' }), 'bundle-address'],
    ['that is no bundle', () => authority.bundles.sign(signedTypes.bundle, { hello: 1 }), 'signature-invalid'],
    ['that is no signed text', async () => 'hello', 'signature-invalid'],
    ['without a signature', async () => `${btoa('{"alg":"none"}').replaceAll('=', '')}.e30.`, 'key-unknown'],
  ])('is refused: one %s', async (_, make, code) => expect(await verify(await make())).toBe(code));

  test('is refused with one bit changed', async () => {
    const [head, body = '', signature] = (await authority.bundle(bundle)).split('.');
    const text = Buffer.from(body, 'base64url').toString().replace('10.91.64.70', '10.91.64.71');
    expect(await verify([head, Buffer.from(text).toString('base64url'), signature].join('.'))).toBe(
      'signature-invalid',
    );
  });

  test('signed with a key that ran out is refused now, and still good when it was accepted before', async () => {
    const jws = await authority.bundle(bundle);
    const later = { at: at + 400 * 86_400_000 };
    const expected = { deviceKey, notOlderThan: undefined };
    expect(await refusedFor(verifyBundle(jws, trust, expected, later))).toBe('key-expired');
    expect(await refusedFor(verifyBundle(jws, trust, expected, 'accepted before'))).toBe('accepted');
  });
});

describe('a manifest', () => {
  const manifest = { version: '1.0.0', issuedAt: '2026-01-01T00:00:00.000Z', files: [] };
  test.each([
    ['signed with the release key', () => authority.releases.sign(signedTypes.manifest, manifest), 'accepted'],
    ['signed by a stranger', () => stranger.sign(signedTypes.manifest, manifest), 'key-unknown'],
    [
      'signed with a key for something else',
      () => authority.bundles.sign(signedTypes.manifest, manifest),
      'key-unknown',
    ],
    ['that is no manifest', () => authority.releases.sign(signedTypes.bundle, manifest), 'signature-invalid'],
  ])('%s', async (_, make, outcome) =>
    expect(await refusedFor(verifyManifest(await make(), trust, { at }))).toBe(outcome),
  );
});
