import * as v from 'valibot';
import { PreAuthCode } from './code.ts';
import { PublicKey, SigningKey } from './key.ts';
import { DisplayName, Id, Name, Timestamp } from './name.ts';
import { Ipv4 } from './network.ts';

export const Platform = v.picklist(['linux', 'macos', 'windows']);
export type Platform = v.InferOutput<typeof Platform>;

/**
 * What a device sends to redeem its pre-auth code. The private keys never leave the device: `publicKey` is for
 * WireGuard, `credentialKey` signs the device's own requests afterwards.
 */
export const EnrolmentRequest = v.strictObject({
  code: PreAuthCode,
  publicKey: PublicKey,
  credentialKey: SigningKey,
  deviceName: DisplayName,
  platform: Platform,
});
export type EnrolmentRequest = v.InferOutput<typeof EnrolmentRequest>;

/**
 * The lease. `bundle` is a signed Bundle; `token` authorises the confirmation that must follow before `leasedUntil`.
 * The same code and key get the same address and id again.
 */
export const EnrolmentLease = v.object({
  id: Id,
  address: Ipv4,
  leasedUntil: Timestamp,
  token: v.string(),
  bundle: v.string(),
});
export type EnrolmentLease = v.InferOutput<typeof EnrolmentLease>;

/** The device, now up with its address and without peers, names key and address once more. */
export const EnrolmentConfirmation = v.strictObject({ publicKey: PublicKey, address: Ipv4 });
export type EnrolmentConfirmation = v.InferOutput<typeof EnrolmentConfirmation>;

/** `appliedBy` names the nodes that know the device by now; `pending` those that did not answer in the bounded wait. */
export const EnrolmentResult = v.object({
  deviceId: Id,
  appliedBy: v.array(Name),
  pending: v.array(Name),
  bundle: v.string(),
});
export type EnrolmentResult = v.InferOutput<typeof EnrolmentResult>;

/** A request for a ten-minute token: a JWT signed with the caller's own key, valid for at most a minute. */
export const TokenRequest = v.strictObject({ assertion: v.pipe(v.string(), v.maxLength(2048)) });
export type TokenRequest = v.InferOutput<typeof TokenRequest>;

export const TokenAnswer = v.object({ token: v.string(), expiresAt: Timestamp });
export type TokenAnswer = v.InferOutput<typeof TokenAnswer>;
