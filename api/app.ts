import { type AnyElysia, Elysia } from 'elysia';
import { accessTable, type Route } from './http/access.ts';
import { answerForFailure, commonHeaders, errorBoundary } from './http/errors.ts';
import { factsOf } from './http/request-facts.ts';
import { refuseWhileSuperseded } from './http/standing-still.ts';
import { strayQuery } from './http/stray-query.ts';
import { assemble, type Deps, type Master } from './master.ts';
import { accessTokenRoutes } from './routes/access-tokens.ts';
import { agentRoutes } from './routes/agent.ts';
import { auditRoutes } from './routes/audit.ts';
import { certificateRoute } from './routes/certificates.ts';
import { codeRoutes } from './routes/codes.ts';
import { ownDeviceRoutes } from './routes/device.ts';
import { deviceRoutes } from './routes/devices.ts';
import { confirmationRoute, redemptionRoute } from './routes/enrolments.ts';
import { grantRoutes } from './routes/grants.ts';
import { networkRoutes } from './routes/networks.ts';
import { nodeCodeRoutes } from './routes/node-codes.ts';
import { nodeEnrolmentRoute } from './routes/node-enrolments.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { outageRoutes } from './routes/outages.ts';
import { policyRoutes } from './routes/policy.ts';
import { policyQuestionRoutes } from './routes/policy-questions.ts';
import { portRoutes } from './routes/ports.ts';
import { publicRoutes } from './routes/public.ts';
import { serviceRoutes } from './routes/services.ts';
import { settingsRoutes } from './routes/settings.ts';
import { statusRoutes } from './routes/status.ts';
import { swaggerRoutes } from './routes/swagger.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { userRoutes } from './routes/users.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { statusRoute, witnessRoute } from './routes/witness.ts';

/** The master's HTTP application, without a socket: a function from requests to responses. */
export function app(deps: Deps) {
  return applicationOf(assemble(deps));
}

export function applicationOf(master: Master) {
  // Known once all routes are there; errors and documentation ask for it later.
  const whole: { application: AnyElysia } = { application: new Elysia() };
  const application = new Elysia({ normalize: false })
    .headers(commonHeaders)
    .use(errorBoundary(master.log, (path) => methodsOf(whole.application.routes, path)))
    .onRequest(({ request }) => master.callers.recognise(request))
    .onRequest(({ request }) => refuseWhileSuperseded(master.store, request))
    // In one place, so that no route can forget it.
    .onTransform({ as: 'global' }, ({ request, route }) => {
      factsOf(request).route = route;
      master.callers.admit(request, access(request.method, route));
      refuseStrayQuery(request, route);
    })
    .use(publicRoutes(master))
    .use(statusRoutes(master))
    .use(swaggerRoutes(() => whole.application))
    .use(redemptionRoute(master))
    .use(confirmationRoute(master))
    .use(nodeEnrolmentRoute(master))
    .use(accessTokenRoutes(master))
    .use(tokenRoutes(master))
    .use(auditRoutes(master))
    .use(webhookRoutes(master))
    .use(userRoutes(master))
    .use(codeRoutes(master))
    .use(deviceRoutes(master))
    .use(policyRoutes(master))
    .use(policyQuestionRoutes(master))
    .use(networkRoutes(master))
    .use(serviceRoutes(master))
    .use(portRoutes(master))
    .use(grantRoutes(master))
    .use(nodeRoutes(master))
    .use(nodeCodeRoutes(master))
    .use(outageRoutes(master))
    .use(settingsRoutes(master))
    .use(agentRoutes(master))
    .use(certificateRoute(master))
    .use(witnessRoute(master))
    .use(statusRoute(master))
    .use(ownDeviceRoutes(master));
  whole.application = application;
  const access = accessTable(application.routes);
  const refuseStrayQuery = strayQuery(application.routes);
  // In one place, so that no route can forget it: no answer leaves before what it tells is on the disk.
  const answer = (request: Request): Promise<Response> =>
    master.store
      .durably(() => application.handle(request))
      .catch((error) => answerForFailure(request, error, master.log));
  const handle = async (request: Request): Promise<Response> => {
    const began = performance.now();
    const facts = factsOf(request);
    const response = await answer(request);
    response.headers.set('x-request-id', facts.id);
    const { method } = request;
    const { route, problem } = facts;
    const seconds = (performance.now() - began) / 1000;
    master.metrics.answered({ method, route, status: response.status, problem, seconds });
    return response;
  };
  return { routes: application.routes, handle };
}

/** The methods that a path takes, for 405. */
function methodsOf(routes: readonly Route[], path: string): string[] {
  const matches = (pattern: string) =>
    new RegExp(`^${pattern.replace(/[.]/g, '\\.').replace(/:[^/]+/g, '[^/]+')}$`).test(path);
  return [...new Set(routes.filter((route) => matches(route.path)).map((route) => route.method))];
}
