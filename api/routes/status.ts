import { Elysia } from 'elysia';
import { Readiness, Status } from '#contract/status.ts';
import { version } from '../../package.json';
import { whyNotReady } from '../decisions/readiness.ts';
import { isBehind, tokenDays, type WarningFacts, warningsOf } from '../decisions/warnings.ts';
import { commonHeaders } from '../http/errors.ts';
import { notReady } from '../http/refusal.ts';
import type { Master } from '../master.ts';
import { readTrustList } from '../state/trust.ts';
import { diskOf, lastingTokensThatEnd, readFigures } from '../store/figures.ts';
import { masterStatus } from '../store/lives.ts';
import { allNodes } from '../store/nodes.ts';
import { readSettings } from '../store/settings.ts';
import { allWebhooks } from '../store/webhooks.ts';
import { adminArea } from './areas.ts';
import { operation, text } from './documentation.ts';

const about = { tag: 'Status', bearer: 'userToken' } as const;

/** How the master is: whether it can serve, for anybody; the rest for those who may read. */
export function statusRoutes(master: Master) {
  const { store, fleet, metrics, pulse, now, startedAt } = master;

  const reasons = () => {
    const { tokens, snapshots, bundles } = master.keys;
    const keysEnd = [tokens, snapshots, bundles].map(({ notAfter }) => notAfter);
    return whyNotReady({ now: now(), keysEnd, revisedAt: readSettings(store).revisedAt });
  };

  return new Elysia()
    .get(
      '/readyz',
      async () => {
        await pulse();
        const why = reasons();
        if (why.length > 0) throw notReady(why);
        return { status: 'ready' as const };
      },
      {
        response: { 200: Readiness },
        detail: operation('getReadiness', 'Whether the master can do its work', {
          tag: 'Public',
          problems: ['not-ready'],
        }),
      },
    )
    .use(adminArea(master))
    .get(
      '/v1/status',
      async () => {
        const facts = await factsOf(master);
        const { epoch, revision } = facts.version;
        const figures = readFigures(store, now());
        const why = reasons();
        return {
          version,
          startedAt: startedAt.toISOString(),
          uptimeSeconds: Math.max(0, Math.floor((now().getTime() - startedAt.getTime()) / 1000)),
          epoch,
          revision,
          ready: why.length === 0,
          reasons: why,
          users: figures.usersEnabled + figures.usersDisabled,
          devices: {
            total: figures.devicesManaged + figures.devicesMachine,
            online: new Set(fleet.onlineKeys(now())).size,
          },
          nodes: {
            total: facts.nodes.length,
            connected: facts.nodes.filter(({ connected }) => connected).length,
            behind: facts.nodes.filter(({ applied }) => isBehind(applied, facts.version)).length,
          },
          warnings: warningsOf(facts),
        };
      },
      {
        response: { 200: Status },
        detail: operation('getStatus', 'How the installation is, and what needs somebody', about),
      },
    )
    .get(
      '/metrics',
      async () => {
        const { text, type } = await metrics.expose();
        return new Response(text, { headers: { ...commonHeaders, 'content-type': type } });
      },
      {
        detail: operation('getMetrics', 'Figures for Prometheus', {
          ...about,
          answer: text('text/plain', 'The text format of Prometheus'),
        }),
      },
    );
}

async function factsOf({ store, fleet, keys, trust, certificate, now }: Master): Promise<WarningFacts> {
  const { epoch, revision, revisedAt } = readSettings(store);
  const releases = (await readTrustList(trust.jws)).keys.filter(({ use }) => use === 'releases');
  const online = (['tokens', 'snapshots', 'bundles'] as const).map((use) => ({ use, notAfter: keys[use].notAfter }));
  return {
    now: now(),
    keys: [...online, ...releases],
    certificate: certificate(),
    tokens: lastingTokensThatEnd(store, now(), new Date(now().getTime() + tokenDays * 86_400_000)),
    version: { epoch, revision },
    revisedAt,
    nodes: allNodes(store).map((node) => ({ ...node, connected: fleet.isConnected(node.name) })),
    webhooks: allWebhooks(store),
    disk: diskOf(store),
    master: masterStatus(store),
  };
}
