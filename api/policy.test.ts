import { describe, expect, test } from 'bun:test';
import type { Diagnostic } from '#contract/diagnostic.ts';
import { firstDocument } from './decisions/first-document.ts';
import { readSnapshot } from './store/snapshot.ts';
import { testMaster } from './test-kit/master.ts';
import { policyOf } from './test-kit/policy.ts';

async function company() {
  const postern = await testMaster();
  await postern.addMachine('n1');
  return { postern, policy: policyOf(postern) };
}

const roles = ['role developer', 'role admin includes developer'];
const lines = [
  ...roles,
  'network internal = 172.19.0.0/16 via n1 dev br-internal  # the office',
  'service gitlab = 172.19.0.10 tcp/443, tcp/22 name gitlab.corp.internal front https',
  '',
  'allow developer -> gitlab',
  'allow admin -> internal',
  'test role:developer -> internal tcp/5432 denied',
];

const codes = (body: { diagnostics?: Diagnostic[] }) =>
  (body.diagnostics ?? []).filter(({ severity }) => severity === 'error').map(({ line, code }) => `${line} ${code}`);

describe('the policy', () => {
  test('is a document from the first day, with an ETag that names its revision', async () => {
    const { postern, policy } = await company();
    const read = await policy.send('GET', '/v1/policy');
    expect(read.body).toEqual({
      revision: 1,
      document: firstDocument,
      updatedAt: postern.clock.now.toISOString(),
      updatedBy: 'setup',
      note: null,
      warnings: [],
    });
    expect(read.headers.get('etag')).toBe('"policy-1"');
    expect((await policy.send('GET', '/v1/policy', undefined, { 'if-none-match': '"policy-1"' })).status).toBe(304);
    expect(readSnapshot(postern.store)).toMatchObject({ policy: { revision: 1, document: firstDocument }, fronts: [] });
  });

  test('is replaced whole: snapshot, bundles, history and audit follow in one step', async () => {
    const { postern, policy } = await company();
    const ben = await postern.enrol('ben@example.com');
    const before = readSnapshot(postern.store);
    const put = await policy.put(lines, '"policy-1"');
    expect(put.body).toMatchObject({
      revision: 2,
      convergence: { revision: before.revision + 1, pending: ['n1'] },
      diff: { words: expect.arrayContaining([expect.stringContaining('gitlab')]) },
    });
    expect(put.headers.get('etag')).toBe('"policy-2"');
    const after = readSnapshot(postern.store);
    expect(after).toMatchObject({
      revision: before.revision + 1,
      fronts: [{ service: 'gitlab', address: '10.91.127.254' }],
    });
    expect(after.policy).toEqual({ revision: 2, document: [...lines, ''].join('\n') });
    const device = await postern.tokenFor('device', ben.lease.id, ben.device.key);
    const bundle = (await postern.send('GET', '/v1/device/bundle', device)).body as string;
    expect(JSON.parse(atob(bundle.split('.')[1] ?? ''))).toMatchObject({
      revision: after.revision,
      networks: [{ name: 'gitlab', cidr: '10.91.127.254/32', nodes: ['n1'] }],
    });
    expect(
      postern.store.db.query(`SELECT actor, act, subject FROM audit ORDER BY id DESC LIMIT 1`).get(),
    ).toMatchObject({ act: 'policy.put', subject: 'policy 2' });
  });

  test('that is the same text is no new one', async () => {
    const { postern, policy } = await company();
    const { revision } = readSnapshot(postern.store);
    expect((await policy.put(firstDocument)).body).toMatchObject({ revision: 1, diff: { changes: [] } });
    expect(readSnapshot(postern.store).revision).toBe(revision);
  });

  test('is tried without being put in force', async () => {
    const { postern, policy } = await company();
    const { revision } = readSnapshot(postern.store);
    const tried = await policy.put(lines, '"policy-1"', '?dryRun=true');
    expect(tried.body).toMatchObject({ revision: 1, convergence: null });
    expect(tried.body.diff.words.length).toBeGreaterThan(0);
    expect(readSnapshot(postern.store)).toMatchObject({ revision, policy: { revision: 1 }, fronts: [] });
  });

  test('is changed only by who has seen it', async () => {
    const { policy } = await company();
    const blind = await policy.send('PUT', '/v1/policy', { document: firstDocument });
    expect(blind).toMatchObject({ status: 428, body: { code: 'precondition-required' } });
    expect((await policy.put(lines, '"policy-1"')).status).toBe(200);
    const late = await policy.put(roles, '"policy-1"');
    expect(late).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    expect(late.body.detail).toContain('"policy-2"');
    expect(late.headers.get('etag')).toBe('"policy-2"');
  });

  test('of two who saw the same, one changes it', async () => {
    const { policy } = await company();
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((name) => policy.put([...roles, `role ${name}`], '"policy-1"')),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
  });
});

describe('a document that cannot be put in force', () => {
  test.each([
    [
      'cannot be read',
      [...roles, 'allow developer devices', 'netwrk x', 'vpn-only tcp/70000 on n1 dev eno1'],
      ['3 ', '4 no-statement', '5 bad-port'],
    ],
    ['names what is not there', [...roles, 'allow devloper -> gitlab'], ['3 unknown-role', '3 unknown-target']],
    [
      'names nodes that are not there, or our own addresses',
      [
        ...roles,
        'network a = 172.19.0.0/16 via n7 dev eth0',
        'network b = 10.91.100.0/24 via n1 dev eth0',
        'vpn-only tcp/5432 on n8 dev eth0',
      ],
      ['3 unknown-node', '4 own-subnet', '5 unknown-node'],
    ],
    [
      'is wrong and names nodes that are not there',
      [...roles, 'rol x', 'vpn-only tcp/1 on n8 dev eth0'],
      ['3 ', '4 unknown-node'],
    ],
    [
      'includes a role in a circle',
      ['role developer includes admin', 'role admin includes developer'],
      ['2 include-cycle'],
    ],
    [
      'names one subnet twice',
      [...roles, 'network a = 172.19.0.0/16 via n1 dev eth0', 'network b = 172.19.0.0/16 via n1 dev eth1'],
      ['4 same-subnet'],
    ],
    ['closes the way to the nodes', [...roles, 'vpn-only udp/51820 on n1 dev eth0'], ['3 own-port']],
    ['closes the way to the API', [...roles, 'vpn-only tcp/8443 on n1 dev eth0'], ['3 own-port']],
    ['closes SSH', [...roles, 'vpn-only tcp/22 on n1 dev eth0'], ['3 closes-ssh']],
    [
      'fails its tests',
      [
        ...roles,
        'test role:admin -> devices allowed',
        'allow developer -> devices',
        'test role:admin -> devices denied',
      ],
      ['5 test-failed'],
    ],
    ['drops a role that somebody has', ['role developer'], ['1 role-in-use']],
  ])('because it %s is refused with all reasons, and the one in force stays', async (_, document, expected) => {
    const { postern, policy } = await company();
    const { revision } = readSnapshot(postern.store);
    const put = await policy.put(document);
    expect(put).toMatchObject({ status: 422, body: { code: 'policy-refused' } });
    const found = codes(put.body);
    for (const [i, code] of expected.entries()) expect(found[i]).toStartWith(code);
    expect(found).toHaveLength(expected.length);
    const check = await policy.send('POST', '/v1/policy/check', { document: `${document.join('\n')}\n` });
    expect(check.body).toEqual({ ok: false, diagnostics: put.body.diagnostics });
    expect(await policy.read()).toMatchObject({ revision: 1, document: firstDocument });
    expect(readSnapshot(postern.store)).toMatchObject({ revision, fronts: [] });
  });

  test.each([
    ['010.0.0.0/8'],
    ['10.1/16'],
    ['0x0a.0.0.0/8'],
    ['::ffff:10.0.0.0/104'],
    ['0.0.0.0/0'],
    ['10.0.0.0/33'],
    ['172.19.0.1/16'],
    ['127.0.0.0/8'],
    ['2001:db8::/32'],
    ['172.19.0.0/16;reboot'],
    ['$(reboot)/16'],
    ['172.19.0.0/16\\n-j'],
  ])('has the subnet %s', async (subnet) => {
    const { policy } = await company();
    const put = await policy.put([...roles, `network a = ${subnet} via n1 dev eth0`]);
    expect([put.status, codes(put.body).length]).toEqual([422, 1]);
  });

  test.each([
    ['role a;reboot'],
    ['role "a b"'],
    ['network a = 172.19.0.0/16 via n1 dev $(reboot)'],
    ['network a = 172.19.0.0/16 via n1 dev -j'],
    ['network a = 172.19.0.0/16 via n1 dev `id`'],
    ['service a = 172.19.0.1 tcp/80 name a.b;rm front https'],
    ['allow developer -> devices -j ACCEPT'],
    ['[Peer]'],
    ['PostUp = reboot'],
    ['*filter'],
    ['role a\u0000b'],
    ['role a # \u202Ereversed'],
    ['role a # \u001b[2J'],
    [`role ${'a'.repeat(10_000)}`],
  ])('has the line %j', async (line) => {
    const { policy } = await company();
    const put = await policy.put([...roles, line]);
    expect(put.status).toBe(422);
    expect(codes(put.body).filter((code) => code.startsWith('3 '))).not.toEqual([]);
  });

  test('names who has a role that it drops, also when they are disabled', async () => {
    const { postern, policy } = await company();
    const ben = await postern.addPerson('ben@example.com');
    await postern.ask(200, 'PATCH', `/v1/users/${ben.id}`, postern.ownerToken, { disabled: true });
    const put = await policy.put(['role admin']);
    expect(put.body.diagnostics).toMatchObject([{ code: 'role-in-use', message: expect.stringContaining(ben.email) }]);
    expect((await policy.put([...roles, 'role guest'])).status).toBe(200);
    const guest = await postern.addPerson('gus@example.com', 'none', 'guest');
    expect(guest.role).toBe('guest');
  });

  test.each([
    [{ document: 7 }],
    [{ document: 'role a\n', more: 1 }],
    [{ document: 'x'.repeat(1_000_001) }],
    [{ document: 'role a\n', note: 'two\nlines' }],
    [{}],
  ])('is not even one: %#', async (body) => {
    const { policy } = await company();
    const put = await policy.send('PUT', '/v1/policy', body, { 'if-match': '*' });
    expect(put).toMatchObject({ status: 422, body: { code: 'invalid-input' } });
  });
});

describe('who is named by the policy', () => {
  test('is disabled, revoked or removed all the same; the lines become warnings', async () => {
    const { postern, policy } = await company();
    const ben = await postern.enrol('ben@example.com');
    const named = [
      ...roles,
      'allow ben@example.com -> devices',
      'allow device:ben@example.com/laptop -> nodes tcp/22',
      'test ben@example.com -> devices allowed',
      'test device:ben@example.com/laptop -> nodes tcp/22 allowed',
    ];
    expect((await policy.put(named)).body.warnings).toEqual([]);
    await postern.ask(200, 'DELETE', `/v1/devices/${ben.lease.id}`, postern.ownerToken);
    expect((await policy.read()).warnings).toMatchObject([
      { line: 4, code: 'unknown-device' },
      { line: 6, code: 'unknown-device' },
    ]);
    await postern.ask(200, 'PATCH', `/v1/users/${ben.user.id}`, postern.ownerToken, { disabled: true });
    const warnings = [
      { line: 3, code: 'unknown-user' },
      { line: 4, code: 'unknown-user' },
      { line: 5, severity: 'warning' },
    ];
    expect((await policy.read()).warnings).toEqual(
      expect.arrayContaining(warnings.map((one) => expect.objectContaining(one))),
    );
    await postern.ask(204, 'DELETE', `/v1/users/${ben.user.id}`, postern.ownerToken);
    expect((await policy.put([...named, '# and once more'])).status).toBe(200);
  });

  test('a node is removed once no line names it', async () => {
    const { postern, policy } = await company();
    await policy.put([...roles, 'vpn-only tcp/5432 on n1 dev eth0']);
    expect(await policy.send('DELETE', '/v1/nodes/n1')).toMatchObject({
      status: 409,
      body: { code: 'in-use', lines: [{ line: 3, text: 'vpn-only tcp/5432 on n1 dev eth0' }] },
    });
    await policy.put(roles);
    await postern.ask(204, 'DELETE', '/v1/nodes/n1', postern.ownerToken);
  });
});

describe('questions', () => {
  test('are answered in words and for programs, to auditors too', async () => {
    const { postern, policy } = await company();
    await policy.put(lines);
    const { user } = await postern.enrol('ben@example.com');
    await postern.ask(200, 'PATCH', `/v1/users/${user.id}`, postern.ownerToken, { permission: 'auditor' });
    const explain = (subject: string, target: string, port?: string) =>
      policy.send('POST', '/v1/policy/explain', { subject, target, ...(port === undefined ? {} : { port }) });
    expect((await explain('ben@example.com', 'gitlab', 'tcp/22')).body).toMatchObject({
      verdict: 'allowed',
      lines: [{ line: 6, text: 'allow developer -> gitlab' }],
      through: [{ node: 'n1' }],
    });
    expect((await explain('role:developer', 'internal')).body.verdict).toBe('denied');
    expect((await explain("device:ben@example.com/Ben's phone", 'gitlab')).body.verdict).toBe('allowed');
    expect((await explain('role:nobody-has', 'gitlab')).body.verdict).toBe('unknown');
    expect((await explain('gone@example.com', 'gitlab')).body.verdict).toBe('unknown');
    for (const [subject, target, port, path] of [
      ['', 'gitlab', undefined, 'subject'],
      ['everyone -> devices allowed #', 'gitlab', undefined, 'subject'],
      ['everyone', '10.1', undefined, 'target'],
      ['everyone', 'gitlab', '22', 'port'],
    ] as const)
      expect((await explain(subject, target, port)).body).toMatchObject({ code: 'invalid-input', errors: [{ path }] });
  });

  test('what is open is listed with what no line says', async () => {
    const { policy } = await company();
    await policy.put([...lines, 'vpn-only tcp/5432 on n1 dev eth0', 'allow everyone -> devices icmp until 2026-11-01']);
    const { body } = await policy.send('GET', '/v1/policy/effective');
    expect(body.plumbing).toContainEqual({ name: 'probes', port: 'udp/51830', node: null });
    expect(body.closedPorts).toEqual([{ node: 'n1', device: 'eth0', port: 'tcp/5432', line: 9 }]);
    expect(body.subjects).toMatchObject([
      { subject: 'everyone', open: [] },
      { subject: 'role:developer', open: [{ target: 'gitlab', ports: ['tcp/443', 'tcp/22'], line: 6 }] },
      { subject: 'role:admin', open: [{ target: 'gitlab' }, { target: 'internal', ports: [] }] },
    ]);
    expect(body.words.join('\n')).toContain('gitlab');
  });

  test('a document is put in its plain form, whatever it says', async () => {
    const { policy } = await company();
    const messy = 'role   a # one\nrole bcd# two\nnonsense';
    const plain = await policy.send('POST', '/v1/policy/format', { document: messy });
    expect(plain.body).toEqual({ document: 'role a    # one\nrole bcd  # two\nnonsense\n' });
  });

  test('a document is compared before it is put in force', async () => {
    const { policy } = await company();
    const diff = await policy.send('POST', '/v1/policy/diff', { document: `${lines.join('\n')}\n` });
    expect(diff.body.changes.map(({ who }: { who: string[] }) => who)).toEqual([['ana@example.com']]);
    expect(diff.body.words.join('\n')).toMatch(/\+ gitlab/);
    const wrong = await policy.send('POST', '/v1/policy/diff', { document: 'nonsense' });
    expect(wrong.body.code).toBe('policy-refused');
    expect((await policy.send('POST', '/v1/policy/diff', {})).body.code).toBe('invalid-input');
  });
});

describe('the history', () => {
  test('keeps every document and leads back to each', async () => {
    const { postern, policy } = await company();
    await policy.send('PUT', '/v1/policy', { document: 'role admin\n', note: 'admins alone' }, { 'if-match': '*' });
    postern.wait(60);
    await policy.put(lines);
    const list = await policy.send('GET', '/v1/policy/revisions?limit=2');
    expect(list.body).toMatchObject({ items: [{ revision: 3 }, { revision: 2, note: 'admins alone' }], total: 3 });
    const rest = await policy.send('GET', `/v1/policy/revisions?limit=2&cursor=${list.body.nextCursor}`);
    expect(rest.body).toMatchObject({ items: [{ revision: 1, actor: 'setup' }], nextCursor: null });
    expect((await policy.send('GET', '/v1/policy/revisions/2')).body.document).toBe('role admin\n');
    expect((await policy.send('GET', '/v1/policy/revisions/9')).status).toBe(404);

    const earlier = await policy.send('POST', '/v1/policy/diff', { revision: 1 });
    expect(earlier.body.words.join('\n')).toMatch(/\+ devices/);
    const back = (revision: number, ifMatch?: string) =>
      policy.send('POST', '/v1/policy/rollback', { revision }, ifMatch === undefined ? {} : { 'if-match': ifMatch });
    expect((await back(1)).status).toBe(428);
    expect((await back(1, '"policy-2"')).status).toBe(412);
    expect((await back(7, '"policy-3"')).status).toBe(404);
    const done = await back(1, '"policy-3"');
    expect(done.body).toMatchObject({ revision: 4, document: firstDocument, note: 'Back to revision 1' });
    expect(readSnapshot(postern.store).fronts).toEqual([]);
  });

  test('an old document is checked like a new one', async () => {
    const { postern, policy } = await company();
    await policy.put([...roles, 'role guest']);
    await postern.addPerson('gus@example.com', 'none', 'guest');
    const back = await policy.send('POST', '/v1/policy/rollback', { revision: 1 }, { 'if-match': '*' });
    expect(back.body).toMatchObject({ code: 'policy-refused', diagnostics: [{ code: 'role-in-use' }] });
  });

  test('is written once and for ever', async () => {
    const { store } = await testMaster();
    expect(() => store.db.run(`UPDATE policies SET document = ''`)).toThrow('only grows');
    expect(() => store.db.run('DELETE FROM policies')).toThrow('only grows');
  });
});

test('permissions: auditors read and ask, operators change', async () => {
  const { postern } = await company();
  const { addApiToken } = await import('./store/api-tokens.ts');
  const tokenOf = async (permission: 'auditor' | 'operator') => {
    const person = await postern.addPerson(`${permission}@example.com`, permission);
    return addApiToken(postern.store, person.id, postern.clock.now);
  };
  const [auditor, operator] = [await tokenOf('auditor'), await tokenOf('operator')];
  const question = { subject: 'everyone', target: 'devices' };
  expect((await postern.send('GET', '/v1/policy', auditor)).status).toBe(200);
  expect((await postern.send('POST', '/v1/policy/explain', auditor, question)).status).toBe(200);
  expect((await postern.send('POST', '/v1/policy/check', auditor, { document: '' })).status).toBe(200);
  for (const [method, path] of [
    ['PUT', '/v1/policy'],
    ['POST', '/v1/policy/rollback'],
    ['POST', '/v1/networks'],
    ['POST', '/v1/services'],
    ['POST', '/v1/ports'],
    ['POST', '/v1/grants'],
  ] as const)
    expect([path, (await postern.send(method, path, auditor, {})).status]).toEqual([path, 403]);
  expect((await postern.send('POST', '/v1/policy/rollback', operator, { revision: 1 })).status).toBe(428);
});
