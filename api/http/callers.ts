import type { User } from '#contract/admin.ts';
import { type Act, may } from '../decisions/permissions.ts';
import { claimedKind, type EnrolmentClaims, verifyAccessToken, verifyEnrolmentToken } from '../keys/tokens.ts';
import type { SigningKeys, TokenKey } from '../keys/working-keys.ts';
import { userOfToken } from '../store/api-tokens.ts';
import { findDevice, type StoredDevice } from '../store/devices.ts';
import { findNode, type StoredNode } from '../store/nodes.ts';
import type { Store } from '../store/open.ts';
import type { Limits } from './limits.ts';
import { Refusal } from './refusal.ts';

/** Who a request is from, as far as its token says and the database still agrees. */
export type Caller =
  | { kind: 'user'; user: User }
  | { kind: 'agent'; node: StoredNode; expiresAt: Date }
  | { kind: 'device'; device: StoredDevice }
  | { kind: 'enrolment'; enrolment: EnrolmentClaims };

export type CallerKind = Caller['kind'];

/** `look` asks the database anew: between a request's first byte and its last its bearer may have been removed. */
type Standing =
  | { state: 'known'; look: () => Caller | undefined }
  | { state: 'missing' }
  | { state: 'invalid'; expired: boolean };

export type Callers = ReturnType<typeof callersOf>;

/** Recognises callers once for each request, before its body is read; routes then ask for the kind they serve. */
export function callersOf(parts: {
  store: Store;
  keys: Pick<SigningKeys, 'tokens'>;
  limits: Limits;
  addressOf: (request: Request) => string;
  now: () => Date;
}) {
  const standings = new WeakMap<Request, Standing>();

  const callerOf = (request: Request): Caller => {
    const standing = standings.get(request) ?? { state: 'missing' };
    if (standing.state === 'missing')
      throw new Refusal('token-missing', 'Send the header Authorization: Bearer TOKEN.', undefined, challenge);
    const caller = standing.state === 'known' ? standing.look() : undefined;
    if (caller !== undefined) return caller;
    const detail = standing.state === 'invalid' && standing.expired ? 'It has expired; get a new one.' : undefined;
    throw new Refusal('token-invalid', detail, undefined, challenge);
  };

  const callerOfKind = <K extends CallerKind>(request: Request, kind: K): Extract<Caller, { kind: K }> => {
    const caller = callerOf(request);
    if (!isKind(caller, kind))
      throw new Refusal('token-invalid', `This route takes the token of ${bearers[kind]}.`, undefined, challenge);
    return caller;
  };

  return {
    /** Looks at the token, if there is one; strangers are counted. Runs on every request. */
    async recognise(request: Request): Promise<void> {
      const standing = await standingOf(request, parts);
      standings.set(request, standing);
      if (standing.state === 'known') return;
      const address = parts.addressOf(request);
      await parts.limits.admit(address);
      if (standing.state === 'missing' || standing.expired) return;
      await parts.limits.admitGuess(address);
      await parts.limits.countFailure(address);
    },
    callerOf,
    callerOfKind,
    /** The user behind an admin's request, if the permission allows the act. */
    userWhoMay(request: Request, act: Act): User {
      const { user } = callerOfKind(request, 'user');
      if (user.disabled) throw new Refusal('permission-denied', 'Your user is disabled.');
      if (!may(user.permission, act))
        throw new Refusal('permission-denied', `This needs ${needs[act]}; yours is "${user.permission}".`);
      return user;
    },
  };
}

const challenge = { 'www-authenticate': 'Bearer' };

const bearers: Record<CallerKind, string> = {
  user: 'a user',
  agent: 'an agent',
  device: 'a device',
  enrolment: 'an enrolment',
};

const needs: Record<Act, string> = {
  read: 'the permission auditor, operator or owner',
  operate: 'the permission operator or owner',
  own: 'the permission owner',
};

function isKind<K extends CallerKind>(caller: Caller, kind: K): caller is Extract<Caller, { kind: K }> {
  return caller.kind === kind;
}

async function standingOf(
  request: Request,
  { store, keys, now }: { store: Store; keys: Pick<SigningKeys, 'tokens'>; now: () => Date },
): Promise<Standing> {
  const header = request.headers.get('authorization');
  if (header === null) return { state: 'missing' };
  const token = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(header)?.[1];
  if (token === undefined) return invalid;
  if (token.startsWith('pst_')) {
    return knownBy(() => {
      const user = userOfToken(store, token);
      return user === undefined ? undefined : { kind: 'user', user };
    });
  }
  return standingOfJwt(token, store, keys.tokens, now());
}

/** The type in the header only tells what to check the token as; the check is complete for each kind. */
async function standingOfJwt(token: string, store: Store, tokens: TokenKey, now: Date): Promise<Standing> {
  const kind = claimedKind(token);
  if (kind === undefined) return invalid;
  if (kind === 'enrolment') {
    const enrolment = await verifyEnrolmentToken(token, tokens, now);
    if (enrolment.ok) return knownBy(() => ({ kind, enrolment: enrolment.claims }));
    return { state: 'invalid', expired: enrolment.reason === 'expired' };
  }
  const access = await verifyAccessToken(kind, token, tokens, now);
  if (!access.ok) return { state: 'invalid', expired: access.reason === 'expired' };
  const { sub, key, exp } = access.claims;
  return knownBy(() => {
    if (kind === 'agent') {
      const node = findNode(store, sub);
      return node?.agentKey === key ? { kind, node, expiresAt: new Date(exp * 1000) } : undefined;
    }
    const device = findDevice(store, sub);
    return device?.credentialKey === key ? { kind, device } : undefined;
  });
}

function knownBy(look: () => Caller | undefined): Standing {
  return look() === undefined ? invalid : { state: 'known', look };
}

const invalid: Standing = { state: 'invalid', expired: false };
