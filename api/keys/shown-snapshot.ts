import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose';
import * as v from 'valibot';
import { Snapshot } from '#contract/snapshot.ts';
import { signedTypes, TrustList } from '#contract/trust.ts';
import { importEd25519, publicJwk, type WorkingKeyPair } from './working-keys.ts';

/**
 * A snapshot that a node shows, if a key of this master signed it, be it one that was replaced since. The list of keys is
 * our own.
 */
export async function readShownSnapshot(
  jws: string,
  own: WorkingKeyPair,
  trust: string,
): Promise<Snapshot | undefined> {
  try {
    const { kid, typ } = decodeProtectedHeader(jws);
    const x = kid === own.kid ? own.x : listed(trust).find((key) => key.kid === kid)?.x;
    if (typ !== signedTypes.snapshot || x === undefined) return undefined;
    const { payload } = await compactVerify(jws, await importEd25519(publicJwk(x)), { algorithms: ['EdDSA'] });
    return v.parse(Snapshot, JSON.parse(new TextDecoder().decode(payload)));
  } catch {
    return undefined;
  }
}

function listed(trust: string): TrustList['keys'] {
  return v.parse(TrustList, decodeJwt(trust)).keys.filter(({ use }) => use === 'snapshots');
}
