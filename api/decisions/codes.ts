import type { Code } from '#contract/admin.ts';

/** What is known of a code when somebody presents it. Moments are RFC 3339 text of equal length: they compare as text. */
export type CodeFacts = {
  readonly expiresAt: string;
  readonly spentAt: string | null;
  readonly withdrawnAt: string | null;
  readonly userDisabled: boolean;
  /** Who holds it: a lease, perhaps run out, or the device that spent it; null when nobody does or it was revoked. */
  readonly holder: Holder | null;
};

export type Holder = DeviceKeys & { readonly registered: boolean; readonly leasedUntil: string };
export type DeviceKeys = { readonly publicKey: string; readonly credentialKey: string };

export type Redemption =
  | { readonly kind: 'lease' }
  /** The answer got lost: the same device gets it once more. */
  | { readonly kind: 'repeat' }
  | {
      readonly kind: 'refuse';
      readonly reason: 'code-used' | 'code-expired' | 'permission-denied';
      readonly detail: string;
      /** Somebody else holds a real code: its admin should know. */
      readonly alert?: true;
    };

export const leaseMilliseconds = 10 * 60_000;

/** open → leased (to one key, for ten minutes) → spent. Only time leads back from leased to open; nothing from spent. */
export function codeState(code: Omit<CodeFacts, 'userDisabled'>, now: Date): Code['state'] {
  if (code.spentAt !== null) return 'spent';
  if (code.withdrawnAt !== null) return 'withdrawn';
  if (code.expiresAt <= now.toISOString()) return 'expired';
  return code.holder !== null && code.holder.leasedUntil > now.toISOString() ? 'leased' : 'open';
}

/** May the device with these keys have this code, and if so, for the first time? */
export function redeem(code: CodeFacts, keys: DeviceKeys, now: Date): Redemption {
  const state = codeState(code, now);
  const isHolder = code.holder !== null && sameKeys(code.holder, keys);
  if ((state === 'spent' || state === 'leased') && !isHolder) return code.holder === null ? revoked : usedByAnother;
  if (state === 'withdrawn') return withdrawn;
  if (code.expiresAt <= now.toISOString()) return expired;
  if (code.userDisabled) return disabled;
  return state === 'open' ? { kind: 'lease' } : { kind: 'repeat' };
}

/** What becomes of a confirmation. `holder` is the device that the enrolment token is about. */
export type Confirmation =
  | { readonly kind: 'register' }
  | { readonly kind: 'repeat' }
  | Extract<Redemption, { kind: 'refuse' }>
  | {
      readonly kind: 'refuse';
      readonly reason: 'address-mismatch' | 'lease-expired';
      readonly detail: string;
      readonly alert?: true;
    };

/** May the holder of a lease become a registered device under this key and address? */
export function confirm(
  code: CodeFacts,
  reserved: { readonly publicKey: string; readonly address: string } | undefined,
  claimed: { readonly publicKey: string; readonly address: string },
  now: Date,
): Confirmation {
  const state = codeState(code, now);
  if (reserved === undefined || code.holder === null) {
    if (state === 'spent') return revoked;
    return state === 'withdrawn' ? withdrawn : leaseOver;
  }
  if (claimed.publicKey !== reserved.publicKey) return usedByAnother;
  if (state === 'withdrawn') return withdrawn;
  if (code.expiresAt <= now.toISOString()) return expired;
  if (state === 'open') return leaseOver;
  if (code.userDisabled) return disabled;
  if (claimed.address !== reserved.address) return otherAddress;
  return state === 'spent' ? { kind: 'repeat' } : { kind: 'register' };
}

/** The end of a lease that starts now: the code's own end is the latest. */
export function leaseEnd(expiresAt: string, now: Date): string {
  const end = new Date(now.getTime() + leaseMilliseconds).toISOString();
  return end < expiresAt ? end : expiresAt;
}

const usedByAnother = {
  kind: 'refuse',
  reason: 'code-used',
  detail: 'Another device holds this code. If that was not you, tell your admin; ask for a new code.',
  alert: true,
} as const;

const revoked = {
  kind: 'refuse',
  reason: 'code-used',
  detail: 'The device that used this code was removed. Ask your admin for a new code.',
} as const;

const withdrawn = {
  kind: 'refuse',
  reason: 'code-expired',
  detail: 'This code was withdrawn. Ask your admin for a new one.',
} as const;

const expired = {
  kind: 'refuse',
  reason: 'code-expired',
  detail: 'Ask your admin for a new code.',
} as const;

const disabled = {
  kind: 'refuse',
  reason: 'permission-denied',
  detail: 'The user this code is for is disabled. Ask your admin.',
} as const;

const leaseOver = {
  kind: 'refuse',
  reason: 'lease-expired',
  detail: 'The address was not confirmed in time. Redeem the code once more.',
} as const;

const otherAddress = {
  kind: 'refuse',
  reason: 'address-mismatch',
  detail: 'Confirm the address that the code was answered with.',
} as const;

function sameKeys(a: DeviceKeys, b: DeviceKeys): boolean {
  return a.publicKey === b.publicKey && a.credentialKey === b.credentialKey;
}
