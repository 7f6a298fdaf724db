import { describe, expect, test } from 'bun:test';
import type { NodeResource } from '#contract/admin.ts';
import type { IssuedNodeCode, NewNodeCode, NodeCode } from '#contract/node-enrolment.ts';
import { beginLife } from './store/lives.ts';
import { readSnapshot } from './store/snapshot.ts';
import { credential, wireguardKey } from './test-kit/keys.ts';
import { type TestMaster, testMaster } from './test-kit/master.ts';

const issue = (postern: TestMaster, wanted: Partial<NewNodeCode> = {}) =>
  postern.ask<IssuedNodeCode>(201, 'POST', '/v1/node-codes', postern.ownerToken, { name: 'n2', ...wanted });

async function machine(more: object = {}) {
  const key = await credential();
  const keys = { publicKey: wireguardKey(), agentKey: key.x, mesh: { publicKey: wireguardKey() } };
  return { key, request: { ...keys, ...more } };
}

const redeem = (postern: TestMaster, code: string, request: object) =>
  postern.send('POST', '/v1/node-enrolments', undefined, { code, ...request });

const stateOf = async (postern: TestMaster, id: string) =>
  (await postern.ask<NodeCode>(200, 'GET', `/v1/node-codes/${id}`, postern.ownerToken)).state;

describe('a code for a node', () => {
  test('makes a machine a node, which is told of at once and speaks for itself', async () => {
    const postern = await testMaster();
    const issued = await issue(postern, { priority: 150 });
    expect(issued.join.sh).toBe(`sudo ops/up --join https://vpn.example.com:8443 --root ${'R'.repeat(43)}`);
    expect(issued.join.sh).not.toContain(issued.code);
    const { key, request } = await machine();
    const answer = await redeem(postern, issued.code.toLowerCase().replaceAll('-', ' '), request);
    expect(answer).toMatchObject({
      status: 201,
      body: {
        name: 'n2',
        priority: 150,
        tunnelAddress: '10.91.64.2',
        endpoints: ['198.51.100.7:51820'],
        mesh: { publicKey: request.mesh.publicKey, endpoints: ['198.51.100.7:51821'] },
      },
    });
    expect(readSnapshot(postern.store).nodes).toMatchObject([{ name: 'n2', mesh: answer.body.mesh }]);
    const agent = await postern.tokenFor('agent', 'n2', key);
    await postern.ask(200, 'GET', '/v1/agent/snapshot', agent);
    expect(await stateOf(postern, issued.id)).toBe('spent');
  });

  test.each([
    ['the machine itself', { endpoints: ['n2.example.com:7000'] }, { endpoints: ['x.example.com:1'] }, '198.51.100.7'],
    ['the code', {}, { endpoints: ['n2.example.com:7000'] }, '198.51.100.7'],
  ])('has the endpoint that %s says', async (_, said, wanted, address) => {
    const postern = await testMaster();
    postern.caller.address = address;
    const { code } = await issue(postern, wanted);
    const { body } = await redeem(postern, code, (await machine(said)).request);
    expect([body.endpoints, body.mesh.endpoints]).toEqual([['n2.example.com:7000'], ['n2.example.com:51821']]);
  });

  test.each([
    ['::ffff:203.0.113.9', '203.0.113.9:51820'],
    ['2001:db8::7', '[2001:db8::7]:51820'],
  ])('takes the address %s that it is redeemed from as %s', async (address, endpoint) => {
    const postern = await testMaster();
    const { code } = await issue(postern);
    postern.caller.address = address;
    expect((await redeem(postern, code, (await machine()).request)).body.endpoints).toEqual([endpoint]);
  });

  test('leaves a node behind NAT without an endpoint in the mesh', async () => {
    const postern = await testMaster();
    const { code } = await issue(postern);
    const { request } = await machine();
    const answer = await redeem(postern, code, { ...request, mesh: { ...request.mesh, endpoints: [] } });
    expect(answer.body.mesh.endpoints).toEqual([]);
  });

  test('gives the same machine the same answer when the first got lost, also when its time is over', async () => {
    const postern = await testMaster();
    const { code } = await issue(postern);
    const { request } = await machine();
    const first = await redeem(postern, code, request);
    const { revision } = readSnapshot(postern.store);
    postern.wait(7_200);
    postern.caller.address = '203.0.113.50';
    expect((await redeem(postern, code, request)).body).toEqual(first.body);
    expect(readSnapshot(postern.store).revision).toBe(revision);
  });

  test('lets one of many machines in that use it at once', async () => {
    const postern = await testMaster();
    const { code } = await issue(postern);
    const machines = await Promise.all(Array.from({ length: 12 }, () => machine()));
    const answers = await Promise.all(machines.map(({ request }) => redeem(postern, code, request)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ body }) => body.code === 'code-used')).toHaveLength(11);
    const alerts = postern.store.db.query("SELECT detail FROM audit WHERE act = 'code.second-key'").all();
    expect(alerts).toHaveLength(10);
  });

  test.each<[string, (postern: TestMaster, issued: IssuedNodeCode) => unknown, number, string]>([
    ['that was withdrawn', (postern, { id }) => withdraw(postern, id), 410, 'code-expired'],
    ['whose hour is over', (postern) => postern.wait(3_600), 410, 'code-expired'],
    ['of another life of the database', (postern) => newLife(postern), 404, 'code-unknown'],
    ['for a name that is taken meanwhile', (postern) => postern.addMachine('n2'), 409, 'already-exists'],
  ])('%s lets nobody in', async (_, spoil, status, code) => {
    const postern = await testMaster();
    const issued = await issue(postern);
    await spoil(postern, issued);
    const before = readSnapshot(postern.store).nodes;
    const answer = await redeem(postern, issued.code, (await machine()).request);
    expect(answer).toMatchObject({ status, body: { code } });
    expect(readSnapshot(postern.store).nodes).toEqual(before);
  });

  test('of a node that was removed is used', async () => {
    const postern = await testMaster();
    const { code } = await issue(postern);
    const { request } = await machine();
    await redeem(postern, code, request);
    await postern.ask(204, 'DELETE', '/v1/nodes/n2', postern.ownerToken);
    expect(await redeem(postern, code, request)).toMatchObject({ status: 409, body: { code: 'code-used' } });
  });

  test("is not a device's, nor the other way round", async () => {
    const postern = await testMaster();
    const ben = await postern.addPerson('ben@example.com');
    const { code } = await postern.issue(ben.id);
    const { request } = await machine();
    expect(await redeem(postern, code, request)).toMatchObject({ status: 404, body: { code: 'code-unknown' } });
    const node = await issue(postern);
    const device = { code: node.code, ...(await postern.newDevice()).request };
    expect(await postern.send('POST', '/v1/enrolments', undefined, device)).toMatchObject({ status: 404 });
  });

  test('is guessed so many times a minute', async () => {
    const postern = await testMaster({ limits: { failures: 3 } });
    const { request } = await machine();
    const wrong = '00000-00000-00000-00000-00000';
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push((await redeem(postern, wrong, request)).status);
    expect(statuses).toEqual([404, 404, 404, 429, 429]);
  });

  test('is refused for a name that is there, or keys that others have', async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const again = { name: 'n1' };
    expect(await postern.send('POST', '/v1/node-codes', postern.ownerToken, again)).toMatchObject({ status: 409 });
    const { code } = await issue(postern);
    const { request } = await machine();
    for (const keys of [
      { publicKey: n1.publicKey },
      { agentKey: n1.key.x },
      { mesh: { publicKey: n1.publicKey } },
      { mesh: { publicKey: request.publicKey } },
    ])
      expect(await redeem(postern, code, { ...request, ...keys })).toMatchObject({ body: { code: 'key-taken' } });
    expect((await redeem(postern, code, request)).status).toBe(201);
  });
});

const withdraw = (postern: TestMaster, id: string) =>
  postern.ask(204, 'DELETE', `/v1/node-codes/${id}`, postern.ownerToken);

const newLife = ({ store, clock }: TestMaster) =>
  beginLife(store, { cause: 'restore', copiedAt: clock.now.toISOString(), actor: 'test' }, clock.now);

describe('a node', () => {
  test('says by which key it is known in the mesh, once or anew', async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const agent = await postern.tokenFor('agent', 'n1', n1.key);
    const [first, second] = [wireguardKey(), wireguardKey()];
    const show = () => postern.ask<NodeResource>(200, 'GET', '/v1/nodes/n1', postern.ownerToken);
    const before = readSnapshot(postern.store).revision;
    for (const [publicKey, raised] of [
      [first, 1],
      [first, 1],
      [second, 2],
    ] as const) {
      await postern.ask(204, 'PUT', '/v1/agent/mesh', agent, { publicKey });
      expect((await show()).mesh).toMatchObject({ publicKey, endpoints: ['198.51.100.1:51821'] });
      expect(readSnapshot(postern.store).revision - before).toBe(raised);
    }
    expect((await postern.send('PUT', '/v1/agent/mesh', agent, { publicKey: n1.publicKey })).body.code).toBe(
      'key-taken',
    );
  });

  test('is drained, moved and preferred, each once and with a line in the audit log', async () => {
    const postern = await testMaster();
    const n1 = await postern.addMachine('n1');
    const agent = await postern.tokenFor('agent', 'n1', n1.key);
    await postern.ask(204, 'PUT', '/v1/agent/mesh', agent, { publicKey: wireguardKey() });
    const change = (body: object, token = postern.ownerToken) => postern.send('PATCH', '/v1/nodes/n1', token, body);
    for (const [body, shown, told] of [
      [{ draining: true }, { draining: true }, { draining: true }],
      [{ priority: 7 }, { priority: 7 }, { priority: 7 }],
      [{ endpoints: ['a.example.com:1'] }, { endpoints: ['a.example.com:1'] }, { endpoints: ['a.example.com:1'] }],
      [{ meshEndpoints: [] }, { mesh: { endpoints: [] } }, { mesh: { endpoints: [] } }],
    ]) {
      const { revision } = readSnapshot(postern.store);
      expect(await change(body as object)).toMatchObject({ status: 200, body: shown });
      expect(await change(body as object)).toMatchObject({ status: 200, body: shown });
      expect(readSnapshot(postern.store)).toMatchObject({ revision: revision + 1, nodes: [told] });
    }
    const rows = postern.store.db.query("SELECT detail FROM audit WHERE act = 'node.change' ORDER BY id").values();
    expect(rows.map(([detail]) => JSON.parse(String(detail)))[0]).toEqual({ draining: true, was: { draining: false } });
    expect(rows).toHaveLength(4);
    await change({ draining: false });
    expect(readSnapshot(postern.store).nodes[0]?.draining).toBeUndefined();
  });

  test('is drained by operators; where it is, owners say', async () => {
    const postern = await testMaster();
    await postern.addMachine('n1');
    const operator = await postern.addPerson('olga@example.com', 'operator');
    const { token } = await postern.ask<{ token: string }>(201, 'POST', '/v1/tokens', postern.ownerToken, {
      name: 'olga',
      permission: 'operator',
      userId: operator.id,
    });
    expect((await postern.send('PATCH', '/v1/nodes/n1', token, { draining: true })).status).toBe(200);
    expect((await postern.send('PATCH', '/v1/nodes/n1', token, { priority: 3 })).status).toBe(403);
  });

  test('is changed only as it was seen', async () => {
    const postern = await testMaster();
    await postern.addMachine('n1');
    const { headers } = await postern.send('GET', '/v1/nodes/n1', postern.ownerToken);
    const change = (body: object) =>
      postern.fetch('/v1/nodes/n1', {
        method: 'PATCH',
        headers: {
          authorization: `Bearer ${postern.ownerToken}`,
          'content-type': 'application/json',
          'if-match': headers.get('etag') ?? '',
        },
        body: JSON.stringify(body),
      });
    expect((await change({ draining: true })).status).toBe(200);
    expect((await change({ draining: false })).status).toBe(412);
  });
});
