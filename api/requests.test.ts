import { describe, expect, test } from 'bun:test';
import { testMaster } from './test-kit/master.ts';

const many = 1_000_000;
const postern = await testMaster({ limits: { requests: many, failures: many, allFailures: many } });
const n1 = await postern.addMachine('n1');
const ben = await postern.enrol('ben@example.com');
const agent = await postern.tokenFor('agent', 'n1', n1.key);

const marker = 'KEEP-ME-SECRET';
const owner = postern.ownerToken;
const bodyRoutes: [string, string, string | undefined][] = [
  ['POST', '/v1/enrolments', undefined],
  ['POST', '/v1/agent/tokens', undefined],
  ['POST', '/v1/device/tokens', undefined],
  ['POST', '/v1/tokens', owner],
  ['POST', '/v1/users', owner],
  ['PATCH', `/v1/users/${ben.user.id}`, owner],
  ['PUT', '/v1/users/by-email/ben@example.com', owner],
  ['POST', `/v1/users/${ben.user.id}/codes`, owner],
  ['PATCH', `/v1/devices/${ben.lease.id}`, owner],
  ['PUT', '/v1/policy', owner],
  ['POST', '/v1/policy/rollback', owner],
  ['POST', '/v1/policy/check', owner],
  ['POST', '/v1/policy/diff', owner],
  ['POST', '/v1/policy/explain', owner],
  ['POST', '/v1/policy/format', owner],
  ['POST', '/v1/networks', owner],
  ['POST', '/v1/services', owner],
  ['POST', '/v1/ports', owner],
  ['POST', '/v1/grants', owner],
  ['POST', '/v1/webhooks', owner],
  ['PATCH', '/v1/webhooks/0193b0a4-7c1e-7d2a-9f3e-2a6b8c4d1e5f', owner],
  ['POST', '/v1/nodes', owner],
  ['PATCH', '/v1/nodes/n1', owner],
  ['PATCH', '/v1/settings', owner],
  ['POST', '/v1/node-codes', owner],
  ['POST', '/v1/node-enrolments', undefined],
  ['PUT', '/v1/agent/mesh', agent],
  ['POST', '/v1/agent/certificate', agent],
  ['PUT', `/v1/enrolments/${ben.lease.id}`, ben.lease.token],
  ['POST', '/v1/agent/reports', agent],
  ['POST', '/v1/agent/witness', agent],
];

const raw = async (
  method: string,
  path: string,
  token: string | undefined,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream,
  type: string,
) => {
  const headers = { 'content-type': type, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const response = await postern.fetch(path, { method, headers, body });
  return { status: response.status, text: await response.text(), type: response.headers.get('content-type') };
};

test('these are all routes with a body', () => {
  const routes = postern.application.routes.filter(({ hooks }) => (hooks as { body?: unknown }).body !== undefined);
  expect(routes).toHaveLength(bodyRoutes.length);
});

describe.each(bodyRoutes)('%s %s', (method, path, token) => {
  const json = 'application/json';

  test.each([
    ['another media type', `{"a":"${marker}"}`, 'text/plain', 415, 'media-type'],
    ['a form', `a=${marker}`, 'application/x-www-form-urlencoded', 415, 'media-type'],
    ['a media type that begins alike', '{}', `application/jsonp; x=${marker}`, 415, 'media-type'],
    ['half a document', `{"a":"${marker}`, json, 400, 'malformed-request'],
    ['no body', '', json, 400, 'malformed-request'],
    ['bytes that are no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), json, 400, 'malformed-request'],
    ['text', `"${marker}"`, json, 422, 'invalid-input'],
    ['a list', `["${marker}"]`, json, 422, 'invalid-input'],
    ['null', 'null', json, 422, 'invalid-input'],
    ['a field we do not know', `{"${marker}":"${marker}"}`, json, 422, 'invalid-input'],
    ['a prototype', `{"__proto__":{"${marker}":1},"constructor":"${marker}"}`, json, 422, 'invalid-input'],
    [
      'the wrong types',
      JSON.stringify(Object.fromEntries(fields.map((field) => [field, { [marker]: marker }]))),
      json,
      422,
      'invalid-input',
    ],
    [
      'the wrong values',
      JSON.stringify(Object.fromEntries(fields.map((field) => [field, `${marker}\n;$(id)`]))),
      json,
      422,
      'invalid-input',
    ],
    ['too much', `"${marker}${'x'.repeat(9 * 1024 * 1024)}"`, json, 413, 'body-too-large'],
  ])('refuses %s, and says nothing of it', async (_, body, type, status, code) => {
    const answer = await raw(method, path, token, body, type);
    expect(answer.text).not.toContain(marker);
    expect(answer).toMatchObject({ status, type: 'application/problem+json' });
    expect(JSON.parse(answer.text).code).toBe(code);
  });

  test('stops reading where the limit is, without a Content-Length', async () => {
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        sent += 1;
        controller.enqueue(new Uint8Array(64 * 1024).fill(32));
        if (sent > 300) controller.close();
      },
    });
    expect((await raw(method, path, token, endless, json)).status).toBe(413);
    // A snapshot of 10,000 devices has 5 MB.
    expect(sent).toBeLessThan(path === '/v1/agent/witness' ? 150 : 100);
  });
});

const fields = [
  'email',
  'role',
  'permission',
  'ttl',
  'name',
  'cidr',
  'gateways',
  'code',
  'publicKey',
  'assertion',
  'drift',
  'snapshot',
  'disabled',
  'device',
  'expiresAt',
];

describe('names', () => {
  const hostile = [
    ['a newline', 'a\nb'],
    ['a semicolon', 'a;b'],
    ['a command', '$(id)'],
    ['a backtick', '`id`'],
    ['a section', '[Peer]'],
    ['a setting', 'a=PostUp'],
    ['NUL', 'a\u0000b'],
    ['right to left', 'a\u202Eb'],
    ['10 KB', 'x'.repeat(10_240)],
    ['nothing', ''],
  ] as const;

  const requests = (name: string): [string, string, unknown][] => [
    ['POST', '/v1/users', { email: `${name}@example.com`, role: 'developer' }],
    ['POST', '/v1/users', { email: 'eve@example.com', role: name }],
    ['PATCH', `/v1/devices/${ben.lease.id}`, { name }],
    ['POST', '/v1/networks', { name, cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: 'eth0' }] }],
    ['POST', '/v1/networks', { name: 'internal', cidr: '172.19.0.0/16', gateways: [{ node: 'n1', device: name }] }],
    ['POST', '/v1/networks', { name: 'internal', cidr: name, gateways: [{ node: 'n1', device: 'eth0' }] }],
    ['POST', '/v1/nodes', { name, publicKey: n1.publicKey, agentKey: n1.key.x, endpoints: [name] }],
    ['POST', '/v1/node-codes', { name }],
    ['PATCH', '/v1/nodes/n1', { endpoints: [name] }],
    ['DELETE', `/v1/networks/${encodeURIComponent(name)}`, undefined],
  ];

  test.each(hostile)('with %s are refused everywhere', async (_, name) => {
    for (const [method, path, body] of requests(name)) {
      const answer = await postern.send(method, path, owner, body);
      expect([404, 405, 422]).toContain(answer.status);
      if (name.length > 3) expect(JSON.stringify(answer.body)).not.toContain(JSON.stringify(name).slice(1, -1));
    }
    const code = (await postern.issue(ben.user.id)).code;
    const { request } = await postern.newDevice(name);
    expect((await postern.send('POST', '/v1/enrolments', undefined, { code, ...request })).status).toBe(422);
  });

  test.each([
    '010.1.1.0/24',
    '0x0a.1.0.0/16',
    '10.1/16',
    '10.0.0.0/33',
    '::ffff:10.0.0.1/32',
    '0.0.0.0/0',
    '172.19.0.1/16',
  ])('the subnet %s is refused', async (cidr) => {
    const network = { name: 'internal', cidr, gateways: [{ node: 'n1', device: 'eth0' }] };
    expect(await postern.send('POST', '/v1/networks', owner, network)).toMatchObject({
      status: 422,
      body: { errors: [{ path: 'cidr' }] },
    });
  });
});

describe('paths', () => {
  test.each([
    ['GET', '/', 404, 'not-found'],
    ['GET', '/v1/nothing', 404, 'not-found'],
    ['GET', '/v1/../healthz/x', 404, 'not-found'],
    ['PUT', '/v1/users', 405, 'method-not-allowed'],
    ['POST', '/v1/agent/snapshot', 405, 'method-not-allowed'],
    ['DELETE', '/healthz', 405, 'method-not-allowed'],
    ['GET', '/v1/users/..%2f..%2fetc', 422, 'invalid-input'],
    ['GET', '/v1/users/0193b0a4-7c1e-7d2a-9f3e-2a6b8c4d1e5f', 404, 'not-found'],
    ['GET', '/v1/nodes/n9', 404, 'not-found'],
    ['GET', '/v1/agent/bundles', 401, 'token-invalid'],
  ])('%s %s', async (method, path, status, code) =>
    expect(await postern.send(method, path, owner)).toMatchObject({ status, body: { code } }),
  );

  test('that take other methods name them', async () => {
    const answer = await postern.send('PUT', '/v1/users', owner);
    expect(answer.headers.get('allow')).toBe('GET, POST');
  });

  test('a bad query is refused', async () => {
    const answer = await postern.send('GET', `/v1/agent/bundles?after=${marker}`, agent);
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ path: 'after', message: 'must be a revision' }] } });
    expect(JSON.stringify(answer.body)).not.toContain(marker);
  });
});

test('refusals name every field and say what it must be', async () => {
  const answer = await postern.send('POST', '/v1/users', owner, { email: 7, permission: 'root' });
  expect(answer.body.errors).toEqual([
    { path: 'email', message: 'must be string' },
    { path: 'role', message: 'is missing' },
    { path: 'permission', message: 'must be ("owner" | "operator" | "auditor" | "none")' },
  ]);
});

test('nothing of all this was an error of ours', () => expect(postern.logged).toEqual([]));
