import type { User } from '#contract/admin.ts';
import type { ApiToken } from '#contract/token.ts';
import { type Act, covers, type Grant, grantOf, may } from '../decisions/permissions.ts';
import { claimedKind, type EnrolmentClaims, verifyAccessToken, verifyEnrolmentToken } from '../keys/tokens.ts';
import type { SigningKeys, TokenKey } from '../keys/working-keys.ts';
import { findBearer } from '../store/api-tokens.ts';
import { findDevice, type StoredDevice } from '../store/devices.ts';
import { findNode, type StoredNode } from '../store/nodes.ts';
import type { Store } from '../store/open.ts';
import { type Access, bearers, needs } from './access.ts';
import type { Limits } from './limits.ts';
import { Refusal } from './refusal.ts';
import { type CallerName, factsOf } from './request-facts.ts';
import type { TokenUses } from './token-uses.ts';

/** Who a request is from, as far as its token says and the database still agrees. */
export type Caller =
  | { kind: 'user'; user: User; token: ApiToken; grant: Grant }
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
  uses: TokenUses;
  addressOf: (request: Request) => string;
  now: () => Date;
}) {
  const standings = new WeakMap<Request, Standing>();

  const callerOf = (request: Request): Caller => {
    const standing = standings.get(request) ?? { state: 'missing' };
    if (standing.state === 'missing')
      throw new Refusal('token-missing', 'Send the header Authorization: Bearer TOKEN.', undefined, challenge);
    const caller = standing.state === 'known' ? standing.look() : undefined;
    if (caller !== undefined) {
      factsOf(request).caller = nameOf(caller);
      return caller;
    }
    const detail = standing.state === 'invalid' && standing.expired ? 'It has expired; get a new one.' : undefined;
    throw new Refusal('token-invalid', detail, undefined, challenge);
  };

  const callerOfKind = <K extends CallerKind>(request: Request, kind: K): Extract<Caller, { kind: K }> => {
    const caller = callerOf(request);
    if (!isKind(caller, kind))
      throw new Refusal('token-invalid', `This route takes the token of ${bearers[kind]}.`, undefined, challenge);
    return caller;
  };

  const userWhoMay = (request: Request, act: Act): Extract<Caller, { kind: 'user' }> => {
    const caller = callerOfKind(request, 'user');
    const { user, grant } = caller;
    if (user.disabled) throw new Refusal('permission-denied', 'Your user is disabled.');
    if (!may(grant.permission, act))
      throw new Refusal('permission-denied', `This needs ${needs[act]}; yours is "${grant.permission}".`);
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
    /** Lets in whom the route is for, and nobody else. Runs on every route, before its body is validated. */
    admit(request: Request, access: Access): void {
      if (access.kind === 'public') return;
      if (access.kind !== 'user') return void callerOfKind(request, access.kind);
      const { token, grant } = userWhoMay(request, access.act);
      if (!covers(grant, access.area))
        throw new Refusal(
          'permission-denied',
          `This needs a token for ${access.area}; yours is for ${token.areas?.join(', ')}.`,
        );
    },
    /** The user behind a request, if the permission allows the act: for what depends on the request's content. */
    userWhoMay: (request: Request, act: Act): User => userWhoMay(request, act).user,
  };
}

const challenge = { 'www-authenticate': 'Bearer' };

function nameOf(caller: Caller): CallerName {
  switch (caller.kind) {
    case 'user':
      return { kind: 'user', user: caller.user.id, token: caller.token.id };
    case 'agent':
      return { kind: 'agent', id: caller.node.name };
    case 'device':
      return { kind: 'device', id: caller.device.id };
    case 'enrolment':
      return { kind: 'enrolment', id: caller.enrolment.sub };
  }
}

function isKind<K extends CallerKind>(caller: Caller, kind: K): caller is Extract<Caller, { kind: K }> {
  return caller.kind === kind;
}

async function standingOf(
  request: Request,
  { store, keys, uses, now }: { store: Store; keys: Pick<SigningKeys, 'tokens'>; uses: TokenUses; now: () => Date },
): Promise<Standing> {
  const header = request.headers.get('authorization');
  if (header === null) return { state: 'missing' };
  const token = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(header)?.[1];
  if (token === undefined) return invalid;
  if (token.startsWith('pst_')) {
    return standingOfApiToken(token, store, uses, now);
  }
  return standingOfJwt(token, store, keys.tokens, now());
}

function standingOfApiToken(secret: string, store: Store, uses: TokenUses, now: () => Date): Standing {
  const look = (): Extract<Caller, { kind: 'user' }> | undefined => {
    const bearer = findBearer(store, secret);
    if (bearer === undefined || isOver(bearer.token, now())) return undefined;
    return { kind: 'user', ...bearer, grant: grantOf(bearer.user, bearer.token) };
  };
  const caller = look();
  if (caller === undefined) return { state: 'invalid', expired: findBearer(store, secret) !== undefined };
  uses.note(caller.token.id, now());
  return { state: 'known', look };
}

function isOver({ expiresAt }: ApiToken, now: Date): boolean {
  return expiresAt !== null && expiresAt <= now.toISOString();
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
