import { toJsonSchema } from '@valibot/to-json-schema';
import { type AnyElysia, Elysia } from 'elysia';
import uiStyle from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' };
import uiScript from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' };
import type { GenericSchema } from 'valibot';
import { Problem } from '#contract/problem.ts';
import type { JsonSchema } from '../formats/example.ts';
import { finishOperation, type Paths } from '../formats/openapi.ts';
import { accessOf, describeAccess } from '../http/access.ts';
import { commonHeaders } from '../http/errors.ts';
import { found } from '../http/refusal.ts';
import { hidden, operation, text } from './documentation.ts';

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Postern API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/swagger/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/swagger/assets/swagger-ui-bundle.js"></script>
<script src="/swagger/assets/start.js"></script>
</body>
</html>
`;

const startScript = `SwaggerUIBundle({ url: '/swagger/json', dom_id: '#swagger-ui', deepLinking: true, docExpansion: 'none', validatorUrl: null });
`;

/** Nothing from elsewhere; the interface sets style attributes and draws its icons from data URLs. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const assets: Readonly<Record<string, { type: string; body: () => string | Blob }>> = {
  'swagger-ui.css': { type: 'text/css; charset=utf-8', body: () => Bun.file(uiStyle) },
  'swagger-ui-bundle.js': { type: 'text/javascript; charset=utf-8', body: () => Bun.file(uiScript) },
  'start.js': { type: 'text/javascript; charset=utf-8', body: () => startScript },
};

const bearer = (description: string) => ({ type: 'http', scheme: 'bearer', description });

/** The API's documentation for people and programs, made from the routes themselves and served without any other host. */
export function swaggerRoutes(application: () => AnyElysia) {
  let made: Promise<string> | undefined;
  const html = { ...commonHeaders, 'content-security-policy': contentSecurityPolicy };
  return new Elysia()
    .get('/swagger', () => new Response(page, { headers: { ...html, 'content-type': 'text/html; charset=utf-8' } }), {
      detail: operation('getSwagger', 'This documentation, to read and try', {
        tag: 'Public',
        answer: text('text/html', 'A page'),
      }),
    })
    .get(
      '/swagger/assets/:file',
      ({ params }) => {
        const { type, body } = found(Object.hasOwn(assets, params.file) ? assets[params.file] : undefined);
        return new Response(body(), {
          headers: { ...html, 'content-type': type, 'cache-control': 'public, max-age=3600' },
        });
      },
      { detail: hidden },
    )
    .get(
      '/swagger/json',
      async () => {
        made ??= describe(application());
        return new Response(await made, { headers: { ...commonHeaders, 'content-type': 'application/json' } });
      },
      {
        detail: operation('getOpenApi', 'This documentation, as an OpenAPI document', {
          tag: 'Public',
          answer: text('application/json', 'An OpenAPI 3.1 document'),
        }),
      },
    );
}

async function describe(application: AnyElysia): Promise<string> {
  // Loaded when somebody asks: it is large, and few do.
  const { toOpenAPISchema } = await import('@elysiajs/openapi');
  const described = toOpenAPISchema(application, { staticFile: false }, undefined, { valibot: jsonSchema });
  const paths = described.paths as Paths;
  for (const route of application.routes) {
    const path = route.path.replace(/:([^/]+)/g, '{$1}');
    const method = route.method.toLowerCase();
    const methods = paths[path];
    const bare = methods?.[method];
    if (methods === undefined || bare === undefined) continue;
    const { body } = route.hooks as { body?: GenericSchema };
    const described = { ...bare, description: describeAccess(accessOf(route)) };
    methods[method] = finishOperation(described, body === undefined ? undefined : jsonSchema(body));
  }
  return JSON.stringify({
    openapi: '3.1.0',
    info: {
      title: 'Postern',
      version: '1',
      description:
        'The API of a Postern master. Errors are problem details (RFC 9457) with a stable `code`. Tokens travel in the header `Authorization: Bearer`.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: { ...described.components.schemas, Problem: jsonSchema(Problem) },
      securitySchemes: {
        userToken: bearer(
          "A user's API token, pst_…; what it may do is its own permission or its user's, whichever is less.",
        ),
        agentToken: bearer("A node agent's ten-minute token, from /v1/agent/tokens."),
        deviceToken: bearer("A device's ten-minute token, from /v1/device/tokens."),
        enrolmentToken: bearer('The token that a redeemed code was answered with.'),
      },
    },
  });
}

/**
 * What JSON Schema cannot say (check characters, host bits) is left out: the API says it when it refuses. Requests are
 * described as they are written, before they are normalised.
 */
function jsonSchema(schema: GenericSchema): JsonSchema {
  const { $schema, ...rest } = toJsonSchema(schema, { errorMode: 'ignore', typeMode: 'input' });
  return rest as JsonSchema;
}
