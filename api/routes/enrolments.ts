import { Elysia } from 'elysia';
import * as v from 'valibot';
import { EnrolmentConfirmation, EnrolmentLease, EnrolmentRequest, EnrolmentResult } from '#contract/enrolment.ts';
import { Id } from '#contract/name.ts';
import { isUsableSigningKey } from '../decisions/signing-key.ts';
import { sha256Hex } from '../formats/hash.ts';
import { backed } from '../http/code-backing.ts';
import { bodyLimit, readJson } from '../http/read-json.ts';
import { found, granted, Refusal } from '../http/refusal.ts';
import { signEnrolmentToken } from '../keys/tokens.ts';
import type { Master } from '../master.ts';
import { findCodeByHash } from '../store/codes.ts';
import { register, reserve } from '../store/enrolments.ts';
import { enrolmentArea, readCallersJson } from './areas.ts';
import { converge } from './convergence.ts';
import { operation } from './documentation.ts';

/** Redeeming a code needs no token: the code is the credential, and guessing is counted. */
export function redemptionRoute(master: Master) {
  const { store, keys, limits, addressOf, published, now } = master;
  return new Elysia().post(
    '/v1/enrolments',
    async ({ body, request, status }) => {
      const address = addressOf(request);
      await limits.admitGuess(address);
      const { code, ...device } = body;
      const hash = sha256Hex(code);
      const known = await backed(master, findCodeByHash(store, hash), hash);
      if (known === undefined) {
        await limits.countFailure(address);
        throw new Refusal('code-unknown', 'Check it for typing errors, or ask your admin for a new one.');
      }
      if (!isUsableSigningKey(device.credentialKey)) throw new Refusal('key-refused', 'Make a new key pair.');
      const enrolment = granted(reserve(store, known.id, device, now()));
      const [token, bundle] = await Promise.all([
        signEnrolmentToken(enrolment, keys.tokens),
        published.bundleOf(enrolment.id),
      ]);
      const { id, address: reserved, leasedUntil } = enrolment;
      return status(201, { id, address: reserved, leasedUntil, token, bundle: found(bundle) });
    },
    {
      parse: readJson(bodyLimit),
      body: EnrolmentRequest,
      response: { 201: EnrolmentLease },
      detail: operation('redeemCode', 'Redeem a code: reserve an address for the device that holds it', {
        tag: 'Enrolment',
        problems: [
          'code-unknown',
          'code-used',
          'code-expired',
          'key-refused',
          'key-taken',
          'permission-denied',
          'pool-exhausted',
        ],
      }),
    },
  );
}

export function confirmationRoute(master: Master) {
  const { store, published, now } = master;
  return new Elysia().use(enrolmentArea(master)).put(
    '/v1/enrolments/:id',
    async ({ params, body, enrolment }) => {
      if (enrolment.sub !== params.id) throw new Refusal('token-invalid', 'It belongs to another enrolment.');
      const registered = register(store, { id: params.id, codeId: enrolment.jti }, body, now());
      const { revision } = granted(registered);
      const { appliedBy, pending } = await converge(master, revision);
      return { deviceId: params.id, appliedBy, pending, bundle: found(await published.bundleOf(params.id)) };
    },
    {
      parse: readCallersJson(master),
      params: v.object({ id: Id }),
      body: EnrolmentConfirmation,
      response: { 200: EnrolmentResult },
      detail: operation('confirmEnrolment', 'Confirm the reserved address: the device is registered, the code spent', {
        tag: 'Enrolment',
        bearer: 'enrolmentToken',
        problems: ['code-used', 'address-mismatch', 'code-expired', 'lease-expired', 'permission-denied'],
      }),
    },
  );
}
