import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { type Host, type Started, until, whyNoNamespaces } from './fixture/hosts.ts';
import { buildLab, type Lab } from './fixture/lab.ts';
import { grant, network, nodeAddress, policyOf, roles } from './fixture/roster.ts';
import type { RunCommand } from './system/command.ts';
import { missingFeatures } from './system/features.ts';
import { tablesOf } from './system/firewall.ts';

setDefaultTimeout(30_000);
const obstacle = whyNoNamespaces() ?? (Bun.which('nft') === null ? 'not installed here: nft' : undefined);
if (obstacle !== undefined) console.warn(`neighbours.netns: skipped: ${obstacle}`);
const hasBothKinds =
  obstacle === undefined && Bun.spawnSync(['unshare', '-n', 'iptables-legacy', '-L', '-n']).exitCode === 0;
if (!hasBothKinds) console.warn('neighbours.netns: one test skipped: this kernel has no iptables-legacy');

const container = '172.19.0.10';
const document = policyOf(
  ...roles,
  network('internal', '172.19.0.0/16', 'br-internal'),
  grant('admin', 'internal'),
  'vpn-only tcp/5432, tcp/8080 on n1 dev eth-ben',
);

/** What holds beside any neighbour: the tunnel opens what the document says, and eth-ben what is not vpn-only. */
const always = {
  'admin to a container': true,
  'developer to a container': false,
  'device to a vpn-only port': true,
  'device to the node': false,
  'outside to a vpn-only port': false,
  'outside to a vpn-only port that is published': false,
  'outside to SSH': true,
};

/** What the neighbour decides, as it would without us. */
const theirs = (isOpen: boolean) => ({
  'device to a published vpn-only port': isOpen,
  'outside to a port that Docker publishes': isOpen,
  'outside, by another interface, to a vpn-only port': isOpen,
});

/**
 * Rules of other programs. ufw 0.36.2 and firewalld 1.3.3 (with iptables) wrote theirs; Docker's are those of version 28
 * for two containers, of which one publishes 8080 and 8081.
 */
const neighbours = [
  {
    name: 'docker',
    differs: theirs(true),
    /** dockerd, when it starts again, puts its own jumps first. */
    async restarts(node: Host) {
      for (const jump of ['DOCKER-FORWARD', 'DOCKER-USER'])
        for (const how of ['-D', '-I']) await node.run(['iptables', how, 'FORWARD', '-j', jump]);
    },
    meanwhile: { 'admin to a container': true, 'developer to a container': false },
  },
  {
    name: 'ufw',
    differs: theirs(false),
    /** `ufw reload` takes its jumps out and appends them again. */
    async restarts(node: Host) {
      for (const jump of ['before-logging', 'before', 'after', 'after-logging', 'reject', 'track'])
        for (const how of ['-D', '-A']) await node.run(['iptables', how, 'FORWARD', '-j', `ufw-${jump}-forward`]);
    },
    meanwhile: { 'admin to a container': true, 'developer to a container': false },
  },
  {
    name: 'firewalld',
    differs: theirs(false),
    /** `firewall-cmd --reload` empties all tables of everybody: closed until we are back. */
    restarts: (node: Host) => load(node, 'firewalld'),
    meanwhile: { 'developer to a container': false },
  },
];

describe.skipIf(obstacle !== undefined)('beside', () => {
  let lab: Lab;
  let agent: Started;
  let revision = 0;

  beforeAll(async () => {
    lab = await buildLab();
    const { node, service } = lab;
    // As Docker has it.
    await node.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    await service.run(['ip', 'route', 'add', 'default', 'via', '172.19.0.1']);
    serve(service, 80);
    for (const port of [22, 2222, 5432]) serve(node, port);
  });
  afterAll(() => lab?.stop());

  test.each(neighbours)('$name', async ({ name, differs, restarts, meanwhile }) => {
    const { node } = lab;
    await node.run(['nft', 'flush', 'ruleset']);
    await load(node, name);
    const found = await everything(node);
    const putInForce = async () => {
      revision += 1;
      await lab.publish(lab.snapshot(revision, { policy: document }));
    };
    await putInForce();
    agent = await lab.startAgent();
    await lab.applied(revision);
    await Promise.all([lab.ana.beginAnew(), lab.ben.beginAnew()]);
    expect(await reached(lab)).toEqual({ ...always, ...differs });
    expect(withoutOurs(await everything(node))).toBe(withoutOurs(found));

    await restarts(node);
    expect(await reached(lab)).toMatchObject(meanwhile);
    await putInForce();
    await until('all is as it was', async () => (await lab.agent('plan')).trim() === 'nothing to do');
    expect(await reached(lab)).toEqual({ ...always, ...differs });

    await agent.signal('SIGTERM');
    await agent.exited;
    await lab.agent('teardown');
    expect(await everything(node)).toBe(found);
  });

  test('firewalld with nftables decides after us: that is told, and done when it trusts the tunnel', async () => {
    const { node } = lab;
    const rules = (name: string) => Bun.file(`${import.meta.dir}/fixture/neighbours/${name}.nft`).text();
    await node.run(['nft', 'flush', 'ruleset']);
    await node.run(['nft', '-f', '-'], await rules('firewalld'));
    revision += 1;
    await lab.publish(lab.snapshot(revision, { policy: document }));
    agent = await lab.startAgent();
    await until('it is told', () => lab.reports.at(-1)?.report.problem?.includes('--add-interface=wg0') === true);
    await Promise.all([lab.ana.beginAnew(), lab.ben.beginAnew()]);
    const refused = { 'admin to a container': false, 'device to a vpn-only port': false };
    expect(await reached(lab)).toEqual({ ...always, ...theirs(false), ...refused });
    await node.run(['nft', 'delete', 'table', 'inet', 'firewalld']);
    await node.run(['nft', '-f', '-'], await rules('firewalld-trusting-wg0'));
    expect(await reached(lab)).toEqual({ ...always, ...theirs(false) });
    await agent.signal('SIGTERM');
    await agent.exited;
    await lab.agent('teardown');
    await node.run(['nft', 'flush', 'ruleset']);
  });

  test.skipIf(!hasBothKinds)('a machine with rules of both kinds of iptables is no node', async () => {
    const { node } = lab;
    for (const program of ['iptables-legacy', 'iptables-nft']) await node.run([program, '-A', 'INPUT', '-j', 'ACCEPT']);
    await expect(lab.agent('run')).rejects.toThrow(/ended with 6: .* firewall rules of iptables-legacy \(1\)/s);
    expect(await lab.agent('plan')).toContain('trouble: this machine has firewall rules of iptables-legacy (1)');
    await node.run(['iptables-legacy', '-F']);
    await node.run(['nft', 'flush', 'ruleset']);
  });

  test('what the kernel lacks is named before anything is changed, and trying leaves nothing behind', async () => {
    const { node } = lab;
    const before = await everything(node);
    const found = await tablesOf(node.run);
    expect(await missingFeatures(node.run, found)).toEqual([]);
    expect(withoutEmpty(await everything(node))).toBe(withoutEmpty(before));
    await node.run(['nft', 'flush', 'ruleset']);
    const poorer: RunCommand = (argv, stdin = '') =>
      /hash:net|TCPMSS/.test(`${argv.join(' ')} ${stdin}`)
        ? Promise.reject(new Error('no such thing'))
        : node.run(argv, stdin);
    expect(await missingFeatures(poorer, found)).toEqual([
      expect.stringMatching(/^an ipset of type hash:net .*modprobe ip_set_hash_net; no such thing$/),
      expect.stringMatching(/^iptables -t mangle .*modprobe xt_TCPMSS; no such thing$/),
    ]);
    expect(await everything(node)).toBe(before);
  });
});

async function load(node: Host, neighbour: string): Promise<void> {
  const rules = (version: string) =>
    Bun.file(`${import.meta.dir}/fixture/neighbours/${neighbour}.${version}.rules`).text();
  await node.run(['iptables-restore'], await rules('ipv4'));
  await node.run(['ip6tables-restore'], await rules('ipv6'));
}

function serve(host: Host, port: number): void {
  host.start([process.execPath, '-e', `Bun.serve({ port: ${port}, fetch: () => new Response("here") })`]);
}

async function reached({ ana, ben }: Lab): Promise<Record<string, boolean>> {
  const asks = async (host: Host, address: string) =>
    (await host.status(['curl', '-s', '-m', '0.8', '-o', '/dev/null', `http://${address}`])) === 0;
  const questions: Record<string, Promise<boolean>> = {
    'admin to a container': asks(ana.host, container),
    'developer to a container': asks(ben.host, container),
    'device to a vpn-only port': asks(ben.host, `${nodeAddress}:5432`),
    'device to a published vpn-only port': asks(ben.host, `${nodeAddress}:8080`),
    'device to the node': asks(ana.host, `${nodeAddress}:2222`),
    'outside to a vpn-only port': asks(ben.host, '203.0.113.1:5432'),
    'outside to a vpn-only port that is published': asks(ben.host, '203.0.113.1:8080'),
    'outside to a port that Docker publishes': asks(ben.host, '203.0.113.1:8081'),
    'outside, by another interface, to a vpn-only port': asks(ana.host, '198.51.100.1:5432'),
    'outside to SSH': asks(ben.host, '203.0.113.1:22'),
  };
  const answers = await Promise.all(
    Object.entries(questions).map(async ([question, answer]) => [question, await answer] as const),
  );
  return Object.fromEntries(answers);
}

/** All rules and sets of a machine, without counters and dates. */
async function everything(node: Host): Promise<string> {
  const texts = [
    await node.run(['iptables-save']),
    await node.run(['ip6tables-save']),
    await node.run(['ipset', 'save']),
  ];
  return texts
    .join('====\n')
    .replace(/^#.*\n/gm, '')
    .replace(/\[\d+:\d+\]/g, '[0:0]');
}

function withoutOurs(text: string): string {
  return withoutEmpty(text.replace(/^.*(POSTERN-|postern-).*\n/gm, ''));
}

/** Without tables that have no rules. */
function withoutEmpty(text: string): string {
  return text.replace(/^\*.*\n(:.*\n)*COMMIT\n/gm, '');
}
