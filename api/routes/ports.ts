import { Elysia } from 'elysia';
import * as v from 'valibot';
import { Convergence } from '#contract/admin.ts';
import { Name } from '#contract/name.ts';
import { InterfaceName } from '#contract/network.ts';
import { ClosedPort, NewClosedPorts, TransportPort } from '#contract/places.ts';
import { readPort } from '#policies/language/values.ts';
import { closedPortLines } from '../decisions/policy-lines.ts';
import { closedPorts } from '../decisions/policy-resources.ts';
import { repeatable } from '../http/idempotency.ts';
import { Refusal } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { outlineInForce } from '../store/policies.ts';
import { putInForce } from '../store/policy-changes.ts';
import { adminArea, readCallersJson } from './areas.ts';
import { converge } from './convergence.ts';
import { operation } from './documentation.ts';
import { expectPolicy } from './policy-etag.ts';

const about = { tag: 'Ports', bearer: 'userToken' } as const;
const ClosedPorts = v.object({ items: v.array(ClosedPort) });

/** Ports of nodes that are closed to the public and open through the tunnel. */
export function portRoutes(master: Master) {
  const { store, desk, now } = master;
  const closedAt = (at?: { node: string; device: string }) => ({
    items: closedPorts(outlineInForce(store)).filter(
      ({ node, device }) => at === undefined || (node === at.node && device === at.device),
    ),
  });

  return new Elysia()
    .use(adminArea(master))
    .use(repeatable(master))
    .get('/v1/ports', () => closedAt(), {
      response: { 200: ClosedPorts },
      detail: operation('listPorts', 'The ports that are closed to the public and open through the tunnel', about),
    })
    .post(
      '/v1/ports',
      ({ body, actor, request, createAfter }) =>
        desk.exclusively(() =>
          createAfter(
            () => {
              expectPolicy(request, store);
              const statements = closedPortLines(body, outlineInForce(store));
              if (statements.length === 0) throw new Refusal('already-exists', 'These ports are closed there already.');
              return desk.prepareEdit({ kind: 'add', statements });
            },
            ({ prepared }) => ({
              make: () => {
                const { node, device, ports } = body;
                const by = { actor, act: 'port.close', subject: node, detail: { device, ports }, note: null };
                putInForce(store, prepared, by, now());
                return closedAt(body);
              },
              answer: ClosedPorts,
              headersOf: () => ({ location: '/v1/ports' }),
            }),
          ),
        ),
      {
        parse: readCallersJson(master),
        body: NewClosedPorts,
        response: { 201: ClosedPorts },
        detail: operation('closePorts', 'Close ports of a node to the public; the tunnel still leads to them', {
          ...about,
          traits: ['conditional', 'repeatable'],
          problems: ['already-exists', 'policy-refused', 'not-ready'],
        }),
      },
    )
    .delete(
      '/v1/ports',
      async ({ query, actor, request }) => {
        const { node, device } = query;
        const port = readPort(query.port);
        if (!port.ok)
          throw new Refusal('invalid-input', undefined, [{ path: 'port', message: 'must be a port such as tcp/5432' }]);
        const { snapshot } = await desk.exclusively(async () => {
          expectPolicy(request, store);
          const { prepared } = await desk.prepareEdit({ kind: 'open-port', port: port.value, node, device });
          const detail = { device, port: query.port };
          return putInForce(store, prepared, { actor, act: 'port.open', subject: node, detail, note: null }, now());
        });
        return converge(master, snapshot);
      },
      {
        query: v.strictObject({ node: Name, device: InterfaceName, port: TransportPort }),
        response: { 200: Convergence },
        detail: operation('openPort', 'Open a port to the public again', {
          ...about,
          traits: ['conditional'],
          problems: ['not-found', 'in-use', 'policy-refused', 'not-ready'],
        }),
      },
    );
}
