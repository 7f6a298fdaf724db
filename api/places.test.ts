import { describe, expect, test } from 'bun:test';
import { readSnapshot } from './store/snapshot.ts';
import { testMaster } from './test-kit/master.ts';
import { policyOf } from './test-kit/policy.ts';

/** Networks, services, ports and grants are lines of the policy; their routes change those and no others. */

const document = [
  '# the company',
  'role developer',
  'role admin includes developer   # spaced   as it was',
  '',
  'network sandbox  =   172.17.0.0/16 via n1 dev docker0 no-nat # knows the way back',
  '',
  '# below this, grants',
  'allow developer -> sandbox tcp/8000-8100',
  'test role:developer -> sandbox tcp/8000 allowed',
];

async function company() {
  const postern = await testMaster();
  await postern.addMachine('n1');
  const policy = policyOf(postern);
  expect((await policy.put(document)).status).toBe(200);
  const text = async () => (await policy.read()).document.split('\n').slice(0, -1);
  return { postern, policy, text };
}

const internal = {
  name: 'internal',
  cidr: '172.19.0.0/16',
  gateways: [{ node: 'n1', device: 'br-internal' }],
  roles: ['admin'],
};
const gitlab = {
  name: 'gitlab',
  address: '172.17.0.10',
  ports: ['tcp/443', 'tcp/22'],
  dnsName: 'gitlab.corp.internal',
  front: 'https',
  preset: 'gitlab',
  roles: ['developer'],
};

describe('a network', () => {
  test('is two lines more, and the others stay to the letter', async () => {
    const { policy, text } = await company();
    const added = await policy.send('POST', '/v1/networks', internal);
    expect(added).toMatchObject({ status: 201, body: { ...internal, nat: true } });
    expect(added.headers.get('location')).toBe('/v1/networks/internal');
    const now = await text();
    expect(now.filter((line) => !document.includes(line))).toEqual([
      'network internal = 172.19.0.0/16 via n1 dev br-internal',
      'allow admin -> internal',
    ]);
    expect(now.filter((line) => document.includes(line))).toEqual(document);
    const list = await policy.send('GET', '/v1/networks');
    expect(list.body.items).toMatchObject([
      { name: 'sandbox', nat: false, roles: ['developer', 'admin'] },
      { name: 'internal', roles: ['admin'] },
    ]);
    expect((await policy.send('GET', '/v1/networks/internal')).body).toEqual(added.body);
  });

  test('that is used is not removed, but the lines are told; with its uses it leaves no trace', async () => {
    const { policy, text } = await company();
    await policy.send('POST', '/v1/networks', internal);
    expect(await policy.send('DELETE', '/v1/networks/internal')).toMatchObject({
      status: 409,
      body: { code: 'in-use', lines: [{ text: 'allow admin -> internal' }] },
    });
    const sandbox = await policy.send('DELETE', '/v1/networks/sandbox');
    expect(sandbox.body.lines.map(({ text }: { text: string }) => text)).toEqual(document.slice(-2));
    const gone = await policy.send('DELETE', '/v1/networks/internal?uses=remove');
    expect(gone).toMatchObject({ status: 200, body: { appliedBy: [], pending: ['n1'] } });
    expect(await text()).toEqual(document);
    expect((await policy.send('DELETE', '/v1/networks/internal')).status).toBe(404);
  });

  test('without roles is open to none', async () => {
    const { policy } = await company();
    const { roles, ...closed } = internal;
    expect((await policy.send('POST', '/v1/networks', closed)).body.roles).toEqual([]);
    expect((await policy.send('DELETE', '/v1/networks/internal')).status).toBe(200);
  });

  test.each([
    ['cidr', { ...internal, cidr: '10.91.100.0/24' }],
    ['cidr', { ...internal, cidr: '10.0.0.0/8' }],
    ['cidr', { ...internal, cidr: '172.19.0.1/16' }],
    ['cidr', { ...internal, cidr: '010.0.0.0/8' }],
    ['name', { ...internal, name: 'all' }],
    ['name', { ...internal, name: 'a\nallow developer -> nodes' }],
    ['gateways.0.node', { ...internal, gateways: [{ node: 'n9', device: 'eth1' }] }],
    ['gateways.0.device', { ...internal, gateways: [{ node: 'n1', device: 'eth1 no-nat' }] }],
    ['gateways.1.node', { ...internal, gateways: [...internal.gateways, { node: 'n1', device: 'eth1' }] }],
    ['roles.1', { ...internal, roles: ['admin', 'nobody'] }],
  ])('is refused for its %s', async (path, wanted) => {
    const { policy, text } = await company();
    expect(await policy.send('POST', '/v1/networks', wanted)).toMatchObject({
      status: 422,
      body: { code: 'invalid-input', errors: [{ path }] },
    });
    expect(await text()).toEqual(document);
  });

  test('that overlaps another as a whole, or breaks a test, is refused by the policy', async () => {
    const { policy, text } = await company();
    const same = await policy.send('POST', '/v1/networks', { ...internal, cidr: '172.17.0.0/16' });
    expect(same.body).toMatchObject({ code: 'policy-refused', diagnostics: [{ code: 'same-subnet' }] });
    const inner = await policy.send('POST', '/v1/networks', { ...internal, cidr: '172.17.3.0/24' });
    expect(inner.status).toBe(201);
    expect((await policy.read()).warnings).toMatchObject([{ code: 'nested-network' }]);
    await policy.send('DELETE', '/v1/networks/internal?uses=remove');
    expect(await text()).toEqual(document);
  });

  test('is changed only by who has seen the policy, if they say which', async () => {
    const { policy } = await company();
    const send = (ifMatch: string) => policy.send('POST', '/v1/networks', internal, { 'if-match': ifMatch });
    expect(await send('"policy-1"')).toMatchObject({
      status: 412,
      body: { detail: expect.stringContaining('policy-2') },
    });
    expect((await send('"policy-2"')).status).toBe(201);
    const remove = await policy.send('DELETE', '/v1/networks/internal?uses=remove', undefined, {
      'if-match': '"policy-2"',
    });
    expect(remove.status).toBe(412);
  });

  test('asked for twice with one key is added once', async () => {
    const { policy } = await company();
    const send = () => policy.send('POST', '/v1/networks', internal, { 'idempotency-key': 'k1' });
    const answers = [await send(), await send(), ...(await Promise.all([send(), send()]))];
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    expect((await policy.send('POST', '/v1/networks', internal)).status).toBe(409);
    expect((await policy.read()).revision).toBe(3);
  });

  test('and many others at once are all added', async () => {
    const { policy } = await company();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        policy.send('POST', '/v1/networks', { ...internal, name: `net-${i}`, cidr: `172.${20 + i}.0.0/16` }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201));
    expect((await policy.send('GET', '/v1/networks')).body.items).toHaveLength(9);
  });
});

describe('a service', () => {
  test('with a front gets an address of its own, which it keeps as long as it has a front', async () => {
    const { postern, policy } = await company();
    const added = await policy.send('POST', '/v1/services', gitlab);
    const roles = ['developer', 'admin'];
    expect(added).toMatchObject({ status: 201, body: { ...gitlab, roles, frontAddress: '10.91.127.254' } });
    await policy.send('POST', '/v1/services', { ...gitlab, name: 'vault', dnsName: 'vault.corp.internal' });
    const fronts = () => readSnapshot(postern.store).fronts;
    const both = [
      { service: 'gitlab', address: '10.91.127.254' },
      { service: 'vault', address: '10.91.127.253' },
    ];
    expect(fronts()).toEqual(both);

    const { document: text } = await policy.read();
    await policy.put(`# moved\n${text.replace('172.17.0.10', '172.17.0.11')}`);
    expect(fronts()).toEqual(both);
    await policy.send('DELETE', '/v1/services/gitlab?uses=remove');
    expect(fronts()).toEqual(both.slice(1));
    // Its address rests: a node may still lead it to the old backend.
    await policy.send('POST', '/v1/services', gitlab);
    expect(fronts()).toEqual([{ service: 'gitlab', address: '10.91.127.252' }, ...both.slice(1)]);
  });

  test('without one is its own address, and removed when nothing names it', async () => {
    const { policy } = await company();
    const { front, preset, dnsName, roles, ...plain } = gitlab;
    const added = await policy.send('POST', '/v1/services', plain);
    expect(added.body).toMatchObject({ frontAddress: null, front: null, roles: [] });
    expect((await policy.send('GET', '/v1/services')).body.items).toHaveLength(1);
    expect((await policy.send('GET', '/v1/services/gitlab')).status).toBe(200);
    expect((await policy.send('DELETE', '/v1/services/gitlab')).status).toBe(200);
    expect((await policy.send('GET', '/v1/services/gitlab')).status).toBe(404);
  });

  test.each([
    ['policy-refused', { ...gitlab, address: '172.30.0.1' }],
    ['policy-refused', { ...gitlab, ports: ['udp/53'] }],
    ['policy-refused', { ...gitlab, ports: ['tcp/900-100'] }],
    ['invalid-input', { ...gitlab, ports: ['443'] }],
    ['invalid-input', { ...gitlab, ports: ['tcp/0443'] }],
    ['invalid-input', { ...gitlab, dnsName: 'gitlab.corp;' }],
    ['invalid-input', { ...gitlab, dnsName: undefined }],
    ['invalid-input', { ...gitlab, front: 'http' }],
    ['invalid-input', { ...gitlab, preset: 'nextcloud' }],
    ['invalid-input', { ...gitlab, front: undefined }],
    ['already-exists', { ...gitlab, name: 'sandbox' }],
  ])('is refused: %s', async (code, wanted) => {
    const { policy, text } = await company();
    expect((await policy.send('POST', '/v1/services', wanted)).body.code).toBe(code);
    expect(await text()).toEqual(document);
  });

  test('finds no address in a pool that is full, and nothing is changed', async () => {
    const postern = await testMaster({ pool: '10.91.64.0/28' });
    await postern.addMachine('n1');
    const policy = policyOf(postern);
    const fronts = Array.from(
      { length: 12 },
      (_, i) => `service s${i} = 172.17.0.${i + 1} tcp/80 name s${i}.corp.internal front https`,
    );
    const put = await policy.put(['role admin', 'network a = 172.17.0.0/16 via n1 dev eth0', ...fronts]);
    expect(put).toMatchObject({ status: 503, body: { code: 'pool-exhausted' } });
    expect(readSnapshot(postern.store).fronts).toEqual([]);
  });

  test('and a device never have one address', async () => {
    const postern = await testMaster({ pool: '10.91.64.0/28' });
    await postern.addMachine('n1');
    const policy = policyOf(postern);
    const fronts = Array.from(
      { length: 6 },
      (_, i) => `service s${i} = 172.17.0.${i + 1} tcp/80 name s${i}.corp.internal front https`,
    );
    expect(
      (await policy.put(['role developer', 'role admin', 'network a = 172.17.0.0/16 via n1 dev eth0', ...fronts]))
        .status,
    ).toBe(200);
    const devices: string[] = [];
    for (let i = 0; i < 5; i++) devices.push((await postern.enrol(`u${i}@example.com`)).lease.address);
    const taken = [...devices, ...readSnapshot(postern.store).fronts.map(({ address }) => address)];
    expect(new Set(taken).size).toBe(11);
    const full = await postern.addPerson('late@example.com');
    const { code } = await postern.issue(full.id);
    const device = await postern.newDevice();
    expect((await postern.send('POST', '/v1/enrolments', undefined, { code, ...device.request })).status).toBe(503);
  });
});

describe('a port', () => {
  test('is closed to the public and opened again', async () => {
    const { policy, text } = await company();
    const closed = await policy.send('POST', '/v1/ports', {
      node: 'n1',
      device: 'eth0',
      ports: ['tcp/5432', 'udp/53'],
    });
    expect(closed).toMatchObject({
      status: 201,
      body: {
        items: [
          { node: 'n1', device: 'eth0', port: 'tcp/5432' },
          { node: 'n1', device: 'eth0', port: 'udp/53' },
        ],
      },
    });
    expect((await policy.send('POST', '/v1/ports', { node: 'n1', device: 'eth0', ports: ['tcp/5432'] })).status).toBe(
      409,
    );
    const one = await policy.send('DELETE', '/v1/ports?node=n1&device=eth0&port=tcp/5432');
    expect(one).toMatchObject({ status: 200, body: { pending: ['n1'] } });
    expect((await policy.send('GET', '/v1/ports')).body.items).toEqual([
      { node: 'n1', device: 'eth0', port: 'udp/53' },
    ]);
    expect((await policy.send('DELETE', '/v1/ports?node=n1&device=eth0&port=tcp/5432')).status).toBe(404);
    await policy.send('DELETE', '/v1/ports?node=n1&device=eth0&port=udp/53');
    expect(await text()).toEqual(document);
  });

  test.each([
    ['policy-refused', { ports: ['tcp/22'] }],
    ['policy-refused', { ports: ['udp/51820'] }],
    ['policy-refused', { ports: ['tcp/8443'] }],
    ['policy-refused', { ports: ['tcp/1-65535'], force: true }],
    ['policy-refused', { node: 'n9' }],
    ['invalid-input', { ports: ['icmp'] }],
    ['invalid-input', { ports: ['5432/tcp'] }],
    ['invalid-input', { device: 'eth0 force' }],
  ])('is refused: %s %j', async (code, change) => {
    const { policy } = await company();
    const wanted = { node: 'n1', device: 'eth0', ports: ['tcp/5432'], ...change };
    expect((await policy.send('POST', '/v1/ports', wanted)).body.code).toBe(code);
  });

  test('of SSH is closed by force', async () => {
    const { policy } = await company();
    const wanted = { node: 'n1', device: 'eth0', ports: ['tcp/22'], force: true };
    expect((await policy.send('POST', '/v1/ports', wanted)).status).toBe(201);
  });
});

describe('a grant', () => {
  test('is one line more, and goes from those that say it', async () => {
    const { policy, text } = await company();
    const wanted = { subject: 'ana@example.com', target: 'sandbox', ports: ['tcp/5432'], until: '2027-01-31' };
    const added = await policy.send('POST', '/v1/grants', wanted);
    const line = { line: 9, text: 'allow ana@example.com -> sandbox tcp/5432 until 2027-01-31' };
    expect(added).toMatchObject({ status: 201, body: { revision: 3, lines: [line] } });
    expect((await policy.send('POST', '/v1/grants', wanted)).status).toBe(409);
    const remove = (query: string) => policy.send('DELETE', `/v1/grants?${query}`);
    expect((await remove('subject=ana@example.com&target=sandbox&ports=tcp/1')).status).toBe(404);
    expect((await remove('subject=ana@example.com&target=sandbox')).status).toBe(200);
    expect(await text()).toEqual(document);
    expect((await remove('subject=role:developer&target=sandbox')).body).toMatchObject({
      code: 'policy-refused',
      diagnostics: [{ code: 'test-failed' }],
    });
  });

  test.each([
    ['subject', { subject: 'ana@example.com, everyone' }],
    ['target', { target: 'sandbox -> nodes' }],
    ['ports.0', { ports: ['tcp/0'] }],
    ['until', { until: 'tomorrow' }],
    ['until', { until: '2026-02-30' }],
  ])('is refused for its %s', async (path, change) => {
    const { policy } = await company();
    const wanted = { subject: 'ana@example.com', target: 'sandbox', ...change };
    expect((await policy.send('POST', '/v1/grants', wanted)).body).toMatchObject({ errors: [{ path }] });
  });
});
