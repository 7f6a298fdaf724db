import { describe, expect, test } from 'bun:test';
import { validate } from '@readme/openapi-parser';
import * as v from 'valibot';
import { testMaster } from '../test-kit/master.ts';

const postern = await testMaster();
const document = await postern.ask<{
  paths: Record<string, Record<string, DocumentedOperation>>;
}>(200, 'GET', '/swagger/json');

type DocumentedOperation = {
  operationId: string;
  summary: string;
  security: unknown[];
  parameters?: { example: unknown }[];
  requestBody?: { content: Record<string, { example: unknown }> };
  responses: Record<string, { content?: Record<string, unknown> }>;
};

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
);

describe('the OpenAPI document', () => {
  test('is valid', async () => {
    const copy: unknown = structuredClone(document);
    const result = await validate(copy as Parameters<typeof validate>[0]);
    expect(result).toMatchObject({ valid: true });
  });

  test('has every route of the API', () => {
    const hidden = new Set(['GET /swagger/assets/{file}']);
    const served = postern.application.routes
      .map(({ method, path }) => `${method} ${path.replace(/:([^/]+)/g, '{$1}')}`)
      .filter((name) => !hidden.has(name));
    expect(operations.map(({ name }) => name).sort()).toEqual(served.sort());
  });

  test('names each operation once', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each(operations)('$name says what it does, for whom, and how it refuses', ({ operation }) => {
    expect(operation.summary.length).toBeGreaterThan(5);
    expect(operation.security).toBeArray();
    const statuses = Object.keys(operation.responses);
    expect(statuses.some((status) => status < '300')).toBe(true);
    const refused = statuses.filter((status) => status >= '400');
    expect(refused).toContain('500');
    for (const status of refused)
      expect(Object.keys(operation.responses[status]?.content ?? {})).toEqual(['application/problem+json']);
    if (operation.security.length > 0) expect(refused).toContain('401');
  });

  test('shows bodies that the API itself would take', () => {
    const bodies = postern.application.routes.flatMap(({ method, path, hooks }) => {
      const { body } = hooks as { body?: v.GenericSchema };
      return body === undefined ? [] : [{ method, path, body }];
    });
    expect(bodies.length).toBeGreaterThan(5);
    for (const { method, path, body } of bodies) {
      const operation = document.paths[path.replace(/:([^/]+)/g, '{$1}')]?.[method.toLowerCase()];
      const example = operation?.requestBody?.content['application/json']?.example;
      expect({ path, ...v.safeParse(body, example) }).toMatchObject({ path, success: true });
    }
  });
});

describe('the page', () => {
  test('asks no other host and runs no inline script', async () => {
    const page = await postern.send('GET', '/swagger');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.body).not.toMatch(/https?:\/\//);
    expect(page.body).not.toMatch(/<script(?! src="\/swagger\/)/);
    for (const [, file] of page.body.matchAll(/(?:src|href)="(\/[^"]+)"/g))
      expect((await postern.send('GET', file)).status).toBe(200);
  });

  test.each(['..%2fapp.ts', '%2e%2e/app.ts', '..\\app.ts', '__proto__', 'toString', 'swagger-ui.css%00'])(
    'serves no file called %s',
    async (file) => expect((await postern.send('GET', `/swagger/assets/${file}`)).status).toBe(404),
  );
});
