import { Elysia } from 'elysia';
import { TokenAnswer, TokenRequest } from '#contract/enrolment.ts';
import { bodyLimit, readJson } from '../http/read-json.ts';
import { Refusal } from '../http/refusal.ts';
import { claimedIssuer, signAccessToken, verifyAssertion } from '../keys/tokens.ts';
import type { Master } from '../master.ts';
import { findDevice } from '../store/devices.ts';
import { findNode } from '../store/nodes.ts';
import { operation } from './documentation.ts';

type Kind = 'agent' | 'device';

/** Agents and devices show that they hold their key, and get a token for ten minutes. */
export function accessTokenRoutes(master: Master) {
  const exchange = exchangeOf(master);
  const options = (operationId: string, summary: string) => ({
    parse: readJson(bodyLimit),
    body: TokenRequest,
    response: { 200: TokenAnswer },
    detail: operation(operationId, summary, {
      tag: 'Tokens',
      problems: ['token-invalid' as const, 'permission-denied' as const],
    }),
  });
  return new Elysia()
    .post(
      '/v1/agent/tokens',
      ({ body, request }) => exchange('agent', body.assertion, request),
      options('getAgentToken', "A token for an agent, against an assertion signed with the node's key"),
    )
    .post(
      '/v1/device/tokens',
      ({ body, request }) => exchange('device', body.assertion, request),
      options('getDeviceToken', "A token for a device, against an assertion signed with the device's key"),
    );
}

function exchangeOf({ store, keys, limits, addressOf, now }: Master) {
  const seen = new Map<string, number>();

  /** An assertion works once. Only those with a good signature are remembered, each for as long as it would be good. */
  const isFirstUse = (kind: Kind, sender: string, jti: string, exp: number): boolean => {
    const seconds = now().getTime() / 1000;
    for (const [key, until] of seen) {
      if (until > seconds) break;
      seen.delete(key);
    }
    const key = `${kind} ${sender} ${jti}`;
    if (seen.has(key)) return false;
    seen.set(key, exp);
    return true;
  };

  const bearerOf = (kind: Kind, sender: string): { key: string; disabled: boolean } | undefined => {
    if (kind === 'agent') {
      const node = findNode(store, sender);
      return node === undefined ? undefined : { key: node.agentKey, disabled: false };
    }
    const device = findDevice(store, sender);
    return device === undefined ? undefined : { key: device.credentialKey, disabled: device.userDisabled };
  };

  return async (kind: Kind, assertion: string, request: Request): Promise<TokenAnswer> => {
    const address = addressOf(request);
    await limits.admitGuess(address);
    const refuse = async (detail: string): Promise<never> => {
      await limits.countFailure(address);
      throw new Refusal('token-invalid', detail);
    };
    const sender = claimedIssuer(assertion);
    const bearer = sender === undefined ? undefined : bearerOf(kind, sender);
    if (sender === undefined || bearer === undefined)
      return refuse('The assertion is from nobody we know; it may have been removed.');
    const verified = await verifyAssertion(kind, assertion, bearer.key, sender, now());
    if (!verified.ok)
      return refuse(
        verified.reason === 'expired'
          ? 'The assertion has expired. If it is new, compare your clock with the Date header of this answer.'
          : 'The assertion is not signed as it must be, or not of this minute.',
      );
    if (!isFirstUse(kind, sender, verified.claims.jti, verified.claims.exp))
      return refuse('The assertion has been used; sign a new one.');
    if (bearer.disabled) throw new Refusal('permission-denied', 'Your user is disabled. Ask your admin.');
    return signAccessToken(kind, { sub: sender, key: bearer.key }, keys.tokens, now());
  };
}
