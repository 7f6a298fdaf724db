import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { parseExposition } from '#contract/fixture/exposition.ts';
import { encodeProbe } from '#contract/probe.ts';
import { lines, until, whyNoNamespaces } from './fixture/hosts.ts';
import { answers, buildLab, type Lab } from './fixture/lab.ts';
import { grant, network, nodeAddress, person, policyOf, pool, roles } from './fixture/roster.ts';

setDefaultTimeout(30_000);
const obstacle = whyNoNamespaces();
if (obstacle !== undefined) console.warn(`access.netns: skipped: ${obstacle}`);

const internal = '172.19.0.10';
const sandbox = '172.17.0.10';

describe.skipIf(obstacle !== undefined)('a node with real packets', () => {
  let lab: Lab;
  let revision = 1;

  beforeAll(async () => {
    lab = await buildLab();
    await lab.service.run(['sysctl', '-qw', 'net.ipv4.icmp_ratelimit=0']);
    const web = 'Bun.serve({ port: 80, fetch: () => new Response(new ReadableStream({ type: "direct", async pull(c) {';
    const endless = 'for (;;) { c.write(new Uint8Array(16384)); await c.flush(); await Bun.sleep(5); } } })) });';
    lab.service.start([process.execPath, '-e', web + endless]);
    await lab.publish(lab.snapshot(revision), {
      bundles: [{ publicKey: lab.ana.person.publicKey, revision: 1, bundle: 'bundle.of.ana' }],
    });
    await lab.startAgent();
    await lab.applied(revision);
  });
  afterAll(() => lab?.stop());

  const ana = () => lab.ana.host;
  const ben = () => lab.ben.host;
  const putInForce = async (...change: Parameters<Lab['snapshot']> extends [number, ...infer Rest] ? Rest : never) => {
    revision += 1;
    await lab.publish(lab.snapshot(revision, ...change));
    await lab.applied(revision);
  };

  test('an admin reaches the network behind the node, a developer does not, devices reach each other', async () => {
    const [adminIn, developerIn, between] = await Promise.all([
      answers(ana(), internal),
      answers(ben(), internal),
      answers(ben(), lab.ana.inside),
    ]);
    expect({ adminIn, developerIn, between }).toEqual({ adminIn: true, developerIn: false, between: true });
  });

  test('nobody reaches a network that no grant names', async () => {
    expect(await answers(ana(), sandbox)).toBe(false);
  });

  test("the node's own ports are closed to devices, save the plumbing", async () => {
    lab.node.start([process.execPath, '-e', 'Bun.serve({ port: 2222, fetch: () => new Response("secret") })']);
    await until('the service listens', async () => (await lab.node.status(['curl', '-s', '127.0.0.1:2222'])) === 0);
    const [host, bridge, outside] = await Promise.all([
      ana().status(['curl', '-s', '-m', '1', `http://${nodeAddress}:2222`]),
      ana().status(['curl', '-s', '-m', '1', 'http://172.19.0.1:2222']),
      ana().status(['curl', '-s', '-m', '1', 'http://198.51.100.1:2222']),
    ]);
    expect({ host, bridge, outside }).toEqual({ host: 28, bridge: 28, outside: 0 });
  });

  test('a device gets its own bundle, by where it asks from; one without a bundle a 404', async () => {
    const url = `http://${nodeAddress}:51830/v1/bundle`;
    await until('the bundle is served', async () => (await ana().status(['curl', '-sf', '-m', '2', url])) === 0);
    expect(await ana().run(['curl', '-s', '-m', '2', url])).toBe('bundle.of.ana');
    expect(await ben().run(['curl', '-s', '-m', '2', '-o', '/dev/null', '-w', '%{http_code}', url])).toBe('404');
  });

  test("the tunnel address is nobody else's to ask: not from the LAN", async () => {
    await ben().run(['ip', 'address', 'add', '203.0.113.66/24', 'dev', 'eth0']);
    await ben().run(['ip', 'route', 'add', '10.91.0.2/32', 'via', '203.0.113.1', 'dev', 'eth0']);
    const asked = await ben().status([
      'curl',
      '-s',
      '-m',
      '1',
      '--interface',
      'eth0',
      `http://${nodeAddress}:51830/v1/bundle`,
    ]);
    await ben().run(['ip', 'route', 'del', '10.91.0.2/32', 'via', '203.0.113.1', 'dev', 'eth0']);
    expect(asked).toBe(28);
  });

  test('a probe is answered, and a hint follows when the bundle has grown', async () => {
    const probe = encodeProbe('0123456789abcdef');
    const script = `const d = require('node:dgram').createSocket('udp4');
      d.on('message', (m) => console.log(m.toString())); d.bind(0, () => d.send(${JSON.stringify(probe)}, 51830, '${nodeAddress}'));`;
    const heard = lines(ana().start([process.execPath, '-e', script]).stdout);
    expect(JSON.parse((await heard.next()).value ?? '')).toEqual({
      nonce: '0123456789abcdef',
      node: 'n1',
      epoch: 1,
      revision,
      bundleRevision: 1,
      trustVersion: 1,
      healthy: true,
    });
    revision += 1;
    const bundles = [{ publicKey: lab.ana.person.publicKey, revision, bundle: 'newer.bundle.of.ana' }];
    await lab.publish(lab.snapshot(revision), { bundles });
    expect(JSON.parse((await heard.next()).value ?? '')).toEqual({ hint: 'probe' });
  });

  test('a network that is added is reached, and one whose grant is taken away is not', async () => {
    await putInForce({
      policy: policyOf(
        ...roles,
        network('internal', '172.19.0.0/16', 'br-internal'),
        network('sandbox', '172.17.0.0/16', 'br-sandbox'),
        grant('developer', 'sandbox'),
        grant('admin', 'internal'),
      ),
    });
    expect(
      await Promise.all([answers(ben(), sandbox), answers(ana(), internal), answers(ben(), lab.ana.inside)]),
    ).toEqual([true, true, false]);
    await putInForce();
    expect(await Promise.all([answers(ben(), sandbox), answers(ana(), internal)])).toEqual([false, true]);
  });

  test('a role that is narrowed ends a running flow in both directions', async () => {
    const download = await startDownload(lab);
    await putInForce({}, [{ ...lab.ana.person, role: 'developer' }, lab.ben.person]);
    await download.endsSoon();
    expect(await answers(ana(), lab.ben.inside)).toBe(true);
    await putInForce();
  });

  test('a flow that the node does not know is refused, and not taken for a new one', async () => {
    await lab.service.run(['ip', 'route', 'add', pool, 'via', '172.19.0.1']);
    const withoutNat = network('internal', '172.19.0.0/16', 'br-internal', false);
    await putInForce({ policy: policyOf(...roles, withoutNat, grant('admin', 'internal')) });
    const download = await startDownload(lab);
    await lab.node.run(['conntrack', '-F']);
    await download.endsSoon();
    await lab.service.run(['ip', 'route', 'del', pool]);
    await putInForce();
  });

  test('a revoked device loses its running download at once, and its tunnel', async () => {
    const download = await startDownload(lab);
    await putInForce({}, [lab.ben.person]);
    await download.endsSoon();
    expect(await answers(ana(), nodeAddress, 1)).toBe(false);
    expect(await lab.node.run(['wg', 'show', 'wg0', 'peers'])).toBe(`${lab.ben.person.publicKey}\n`);
    await putInForce();
    await lab.ana.beginAnew();
    await until('the device is back', () => answers(ana(), internal, 1));
  });

  test("an address passes to another device without its former owner's access", async () => {
    const heir = { ...person('ben', 'developer', 1, lab.ben.person.publicKey), address: lab.ana.inside };
    await putInForce({}, [heir]);
    expect(await lab.node.run(['wg', 'show', 'wg0', 'allowed-ips'])).toBe(`${heir.publicKey}\t${heir.address}/32\n`);
    expect(await answers(ana(), internal)).toBe(false);
    await putInForce();
  });

  test('the node tells Prometheus how it is, on its own machine alone', async () => {
    const read = async () => parseExposition(await lab.node.run(['curl', '-sf', 'http://127.0.0.1:9586/metrics']));
    let figures = await read();
    const figure = (name: string) => figures.get(`postern_agent_${name}`)?.samples[0]?.value ?? -1;
    // What the tunnel holds is known from the last look, and that may still be under way.
    await until('both devices are counted', async () => {
      figures = await read();
      return figure('peers') === 2;
    });
    expect(['closed', 'master_reachable', 'drift_repaired_total'].map(figure)).toEqual([0, 1, 0]);
    expect(figure('received_bytes_total')).toBeGreaterThan(1_000);
    expect(figure('sent_bytes_total')).toBeGreaterThan(100_000);
    expect(figure('applied_revision')).toBeGreaterThan(3);
    expect(await lab.node.run(['curl', '-sf', 'http://127.0.0.1:9586/healthz'])).toBe('{"status":"ok"}');
    expect(await lab.node.status(['curl', '-sm', '1', `http://${nodeAddress}:9586/healthz`])).not.toBe(0);
  });

  test('nothing was ever found to have drifted', () =>
    expect(lab.reports.flatMap(({ report }) => report.drift)).toEqual([]));
});

/** A download without an end from the internal network to the admin's device, with bytes already flowing. */
async function startDownload(lab: Lab) {
  const file = `${lab.stateDir}/download-${crypto.randomUUID()}`;
  const size = () => Bun.file(file).size;
  lab.ana.host.start(['curl', '-sN', '-o', file, `http://${internal}/`]);
  await until('the download flows', () => size() > 100_000);
  return {
    /** Cut off means: not a byte more within half a second, where before there were hundreds of kilobytes. */
    async endsSoon() {
      await Bun.sleep(200);
      const before = size();
      await Bun.sleep(500);
      expect(size() - before).toBe(0);
    },
  };
}
