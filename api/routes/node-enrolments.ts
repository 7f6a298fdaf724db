import { Elysia } from 'elysia';
import { NodeEnrolment, NodeEnrolmentRequest } from '#contract/node-enrolment.ts';
import { endpointAt } from '../decisions/mesh-endpoints.ts';
import { isUsableSigningKey } from '../decisions/signing-key.ts';
import { sha256Hex } from '../formats/hash.ts';
import { backed } from '../http/code-backing.ts';
import { bodyLimit, readJson } from '../http/read-json.ts';
import { granted, Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { enrolNode, findNodeCodeByHash } from '../store/node-codes.ts';
import { operation } from './documentation.ts';

/** Becoming a node needs no token: the code is the credential, and guessing is counted. */
export function nodeEnrolmentRoute(master: Master) {
  const { store, limits, addressOf, now } = master;
  return new Elysia().post(
    '/v1/node-enrolments',
    async ({ body, request, status }) => {
      const address = addressOf(request);
      await limits.admitGuess(address);
      const { code, ...machine } = body;
      const hash = sha256Hex(code);
      const known = await backed(master, findNodeCodeByHash(store, hash), hash);
      if (known === undefined) {
        await limits.countFailure(address);
        throw new Refusal('code-unknown', 'Check it for typing errors, or make a new one: postern node add.');
      }
      if (!isUsableSigningKey(machine.agentKey)) throw new Refusal('key-refused', 'Make a new key pair for the agent.');
      const node = granted(enrolNode(store, known.id, machine, endpointAt(address), now()));
      const { name, endpoints, tunnelAddress, priority, mesh } = node;
      return status(201, { name, endpoints, tunnelAddress, priority, mesh });
    },
    {
      parse: readJson(bodyLimit),
      body: NodeEnrolmentRequest,
      response: { 201: NodeEnrolment },
      detail: operation('enrolNode', 'Redeem a code: this machine becomes the node that the code names', {
        tag: 'Enrolment',
        problems: [
          'code-unknown',
          'code-used',
          'code-expired',
          'key-refused',
          'key-taken',
          'already-exists',
          'pool-exhausted',
        ],
      }),
    },
  );
}
