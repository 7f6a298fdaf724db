import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { testMaster } from '../test-kit/master.ts';

/** What scripts are written against: `operationId METHOD path`, one a line. */
const promised = readFileSync(join(import.meta.dir, 'operations.txt'), 'utf8')
  .trimEnd()
  .split('\n');

type Described = {
  operationId: string;
  security: object[];
  parameters?: { name: string; in: string; required?: boolean; example?: unknown }[];
  responses: Record<string, { headers?: object; content?: Record<string, { examples?: Record<string, unknown> }> }>;
};

const postern = await testMaster();
const { paths } = await postern.ask<{ paths: Record<string, Record<string, Described>> }>(200, 'GET', '/swagger/json');
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);
const served = operations.map(({ path, method, operation }) => `${operation.operationId} ${method} ${path}`);

describe('the operations that scripts are written against', () => {
  test('are all still there under their names', () => {
    const gone = promised.filter((line) => !served.includes(line));
    expect(gone, 'Renaming or removing an operation breaks the scripts of others. Keep it, beside a new one.').toEqual(
      [],
    );
  });

  test('are promised when they are new', () => {
    const unpromised = served.filter((line) => !promised.includes(line));
    expect(unpromised, 'Add these lines to api/routes/operations.txt.').toEqual([]);
  });
});

describe('the description', () => {
  test('has Retry-After on every answer that asks for patience', () => {
    for (const { path, operation } of operations) {
      for (const status of ['429', '503'])
        expect({ path, headers: operation.responses[status]?.headers }).toMatchObject({
          headers: { 'Retry-After': {} },
        });
    }
  });

  test('has the page and its order on every list of admins, and their links', () => {
    const lists = operations.filter(({ operation }) => operation.parameters?.some(({ name }) => name === 'cursor'));
    expect(lists.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['/v1/codes', '/v1/devices', '/v1/nodes', '/v1/users', '/v1/users/{id}/codes']),
    );
    for (const { operation } of lists) {
      expect(operation.parameters?.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['limit', 'cursor', 'sort']),
      );
      expect(operation.responses['200']?.headers).toMatchObject({ Link: {} });
    }
  });

  test('has If-None-Match and 304 on what is read alone, If-Match and 412 on what is changed', () => {
    const of = (method: string, path: string) => paths[path]?.[method];
    for (const path of ['/v1/users/{id}', '/v1/devices/{id}', '/v1/codes/{id}', '/v1/nodes/{name}']) {
      const [read, removed] = [of('get', path), of('delete', path)];
      expect(read?.parameters?.map(({ name }) => name)).toContain('If-None-Match');
      expect(read?.responses['304']).toBeDefined();
      expect(read?.responses['200']?.headers).toMatchObject({ ETag: {} });
      expect(removed?.parameters?.map(({ name }) => name)).toContain('If-Match');
      const refusal = removed?.responses['412']?.content?.['application/problem+json'];
      expect(Object.keys(refusal?.examples ?? {})).toEqual(['precondition-failed']);
    }
  });

  test('fills in no value for what may be left out: the page would send it', () => {
    for (const { operation } of operations)
      for (const { required, example } of operation.parameters ?? [])
        expect(example === undefined).toBe(required !== true);
  });
});
