import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { chmod, mkdir } from 'node:fs/promises';
import { type Started, until, whyNoNamespaces } from './fixture/hosts.ts';
import { answers, buildLab, type Lab } from './fixture/lab.ts';
import { person } from './fixture/roster.ts';

setDefaultTimeout(30_000);
const obstacle = whyNoNamespaces();
if (obstacle !== undefined) console.warn(`faults.netns: skipped: ${obstacle}`);

const internal = '172.19.0.10';
const sandbox = '172.17.0.10';

describe.skipIf(obstacle !== undefined)('a node in trouble', () => {
  let lab: Lab;
  let agent: Started;
  let revision = 1;
  let foundRules: string;

  beforeAll(async () => {
    lab = await buildLab();
    // A machine that has rules of its own, some of them in the tables and chains where ours will stand.
    const others = `*filter\n:MINE - [0:0]\n-A FORWARD -j MINE\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A MINE -m comment --comment "a rule of mine" -j RETURN\nCOMMIT
*nat\n-A POSTROUTING -o eth-none -j MASQUERADE\nCOMMIT\n`;
    await lab.node.run(['iptables-restore'], others);
    await lab.node.run(['ip6tables-restore'], '*filter\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n');
    foundRules = await rulesOf(lab);
    await lab.publish(lab.snapshot(revision));
    agent = await lab.startAgent();
    await lab.applied(revision);
  });
  afterAll(() => lab?.stop());

  const restart = async (environment: Record<string, string> = {}) => {
    agent = await lab.startAgent(environment);
  };
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    await agent.signal(signal);
    await agent.exited;
  };
  const lastReport = () => lab.reports.at(-1)?.report;
  const masterIsBack = async () => {
    const told = lab.reports.length;
    await lab.order({ trust: await lab.authority.signTrust([lab.spki]) });
    await until('the node is as it should be again', () =>
      lab.reports.slice(told).some(({ report }) => report.applied?.revision === revision),
    );
  };
  /** A report with peers comes from a pass that has looked again and found nothing to do: no command follows it. */
  const killedOrVerified = (told: number) => {
    const isVerified = () =>
      lab.reports.slice(told).some(({ report }) => report.applied?.revision === revision && report.peers !== undefined);
    return Promise.race([
      agent.exited.then(() => 'killed' as const),
      until('the pass ends', () => isVerified() || agent.exitCode !== null).then(() => 'verified' as const),
    ]);
  };
  const isSettled = async () => (await lab.agent('plan')).trim() === 'nothing to do';

  test('the tunnel stays when the agent is told to stop', async () => {
    expect(await answers(lab.ana.host, internal)).toBe(true);
    await kill('SIGTERM');
    expect(agent.exitCode).toBe(0);
    expect(await answers(lab.ana.host, internal)).toBe(true);
    await restart();
  });

  test('a second agent on the same state is refused', async () => {
    await expect(lab.agent('run')).rejects.toThrow('an agent already runs on this state directory');
    await expect(lab.agent('teardown')).rejects.toThrow('stop it first');
  });

  test('what others change is repaired and told', async () => {
    const { node } = lab;
    await node.run(['iptables', '-D', 'FORWARD', '-j', 'POSTERN-FORWARD']);
    await node.run(['iptables', '-I', 'INPUT', '1', '-p', 'tcp', '-j', 'ACCEPT']);
    await node.run(['iptables', '-I', 'POSTERN-FORWARD', '1', '-j', 'ACCEPT']);
    await node.run(['ip6tables', '-F', 'POSTERN-FORWARD']);
    const admins = `postern-${lab.snapshot(1).policy.revision}-r2`;
    await node.run(['ipset', 'add', admins, lab.ben.inside]);
    await node.run(['wg', 'set', 'wg0', 'peer', lab.ana.person.publicKey, 'remove']);
    await node.run(['wg', 'set', 'wg0', 'peer', lab.ben.person.publicKey, 'allowed-ips', '10.91.1.2/32,10.91.1.99/32']);
    await node.run(['ip', 'address', 'add', '10.91.0.77/32', 'dev', 'wg0']);
    await node.run(['sysctl', '-qw', 'net.ipv4.conf.br-internal.forwarding=0']);
    await until('all is as it was', isSettled);
    await until('it was told', () => lab.reports.some(({ report }) => report.drift.length > 0));
    const drift = lab.reports.flatMap(({ report }) => report.drift);
    const told = (words: string) => drift.filter((line) => line.includes(words)).length;
    expect({
      jump: told('put the jump to POSTERN-FORWARD first in FORWARD'),
      moved: told('put the jump to POSTERN-INPUT first in INPUT'),
      chain: told('ipv4 rules: write POSTERN-FORWARD'),
      ipv6: told('ipv6 rules: write POSTERN-FORWARD'),
      set: told(`remove ${lab.ben.inside} from ${admins}`),
      lost: told(`set the peer ${lab.ana.person.publicKey}`),
      changed: told(`set the peer ${lab.ben.person.publicKey} of wg0 with 10.91.1.2/32`),
      address: told('take the address 10.91.0.77/32'),
      forwarding: told('switch forwarding on for packets from br-internal'),
    }).toEqual({ jump: 1, moved: 1, chain: 1, ipv6: 1, set: 1, lost: 1, changed: 1, address: 1, forwarding: 1 });
    await lab.node.run(['iptables', '-D', 'INPUT', '-p', 'tcp', '-j', 'ACCEPT']);
  });

  test('wireguard-go that was killed comes back with all it knew', async () => {
    await lab.node.run(['pkill', '-KILL', '-x', 'wireguard-go']);
    await until('the peers are back', async () => (await peersOf(lab)).includes(lab.ana.person.publicKey));
    await lab.ana.beginAnew();
    await until('the device is inside again', () => answers(lab.ana.host, internal, 1));
    expect(await answers(lab.ben.host, internal)).toBe(false);
  });

  test.each([
    [
      'signed by a key for other things',
      'does not list for snapshots',
      (text: Lab) => text.authority.signSnapshot(text.snapshot(revision + 1), { use: 'bundles' }),
    ],
    [
      'of another kind',
      'stands where',
      (text: Lab) => text.authority.signSnapshot(text.snapshot(revision + 1), { typ: 'postern-bundle+jws' }),
    ],
    [
      'changed on its way',
      'wrong signature',
      async (text: Lab) => tampered(await text.authority.signSnapshot(text.snapshot(revision + 1))),
    ],
    ['older than the one in force', 'is older than', (text: Lab) => text.authority.signSnapshot(text.snapshot(0))],
    [
      'of an older life of the database',
      'is older than',
      (text: Lab) => text.authority.signSnapshot(text.snapshot(99, { epoch: 0 })),
    ],
    [
      'that contradicts itself',
      'cannot be put in force',
      (text: Lab) =>
        text.authority.signSnapshot(
          text.snapshot(revision + 1, {}, [text.ana.person, { ...text.ben.person, address: text.ana.inside }]),
        ),
    ],
  ])('a snapshot %s is refused, and the one before stays', async (_, words, sign) => {
    const before = await rulesOf(lab);
    await lab.publish(lab.snapshot(revision + 1), { text: await sign(lab) });
    await until('it is refused', () => lastReport()?.problem?.includes(words) === true);
    expect(lastReport()?.applied).toEqual({ epoch: 1, revision });
    expect(await rulesOf(lab)).toBe(before);
    await lab.publish(lab.snapshot(revision));
    await until('all is well again', () => lastReport()?.problem === undefined);
  });

  test('a damaged cache closes the node, which says why, until the master is heard', async () => {
    await kill();
    await lab.order({ trust: 'nothing' });
    await Bun.write(`${lab.stateDir}/agent/snapshot.jws`, 'damaged');
    await restart();
    await until('it closes', async () => (await lab.node.run(['wg', 'show', 'wg0', 'peers'])) === '');
    expect(lab.agentLog()).toContain('closed: the cache cannot be used: the snapshot cannot be read');
    await until('no set is left', async () => (await lab.node.run(['ipset', 'list', '-n'])) === '');
    expect(await lab.agent('plan')).toContain('closed: the cache cannot be used');
    await masterIsBack();
  });

  test('an older snapshot put in the place of the cached one is not believed', async () => {
    revision += 1;
    await lab.publish(lab.snapshot(revision, {}, [lab.ana.person]));
    await lab.applied(revision);
    await kill();
    await lab.order({ trust: 'nothing' });
    await Bun.write(`${lab.stateDir}/agent/snapshot.jws`, await lab.authority.signSnapshot(lab.snapshot(1)));
    await restart();
    await until('it says so', () =>
      lab.agentLog().includes('closed: the cache cannot be used: the snapshot 1-1 is older than'),
    );
    await until('it closes', async () => (await lab.node.run(['wg', 'show', 'wg0', 'peers'])) === '');
    await masterIsBack();
  });

  test('without its master it serves from the cache', async () => {
    await kill();
    await lab.order({ trust: 'nothing' });
    await lab.node.run(['ip', 'link', 'delete', 'wg0']);
    await lab.node.run(['iptables', '-F', 'POSTERN-FORWARD']);
    await restart();
    await until('the peers are there', async () => (await peersOf(lab)).includes(lab.ana.person.publicKey));
    await lab.ana.beginAnew();
    await until('the device is inside', () => answers(lab.ana.host, internal, 1));
    await lab.order({ trust: await lab.authority.signTrust([lab.spki]) });
    revision += 1;
    await lab.publish(lab.snapshot(revision));
    await lab.applied(revision);
  });

  test('killed before each command of a change, it converges when started again, and nothing forbidden passes', async () => {
    const counters = await countArrivals(lab);
    lab.ana.knock(['-s', '56', internal], ['-s', '56', sandbox]);
    lab.ben.knock(['-s', '100', internal], ['-s', '56', sandbox]);
    const programs = await killingPrograms(lab);
    let kills = 0;
    for (let place = 1; ; place++) {
      // From nothing at all to all, with the devices knocking.
      await kill();
      await lab.agent('teardown');
      const told = lab.reports.length;
      await restart(programs.killBefore(place));
      if ((await killedOrVerified(told)) === 'verified') break;
      kills += 1;
      await restart();
      expect(await killedOrVerified(told)).toBe('verified');
    }
    const { allowed, developer, ungranted } = await counters();
    expect({ developer, ungranted }).toEqual({ developer: 0, ungranted: 0 });
    expect(allowed).toBeGreaterThan(0);
    for (let place = 1; ; place++) {
      // Ben gets what only Ana had, Ana is gone, and her address goes to somebody new.
      revision += 1;
      const heir = { ...person('cleo', 'developer', 7), address: lab.ana.inside };
      const people = place % 2 === 1 ? [{ ...lab.ben.person, role: 'admin' }, heir] : [lab.ana.person, lab.ben.person];
      await kill();
      const told = lab.reports.length;
      await restart(programs.killBefore(place));
      await lab.publish(lab.snapshot(revision, {}, people));
      if ((await killedOrVerified(told)) === 'verified') break;
      kills += 1;
      await restart();
      expect(await killedOrVerified(told)).toBe('verified');
    }
    expect(await isSettled()).toBe(true);
    expect(kills).toBeGreaterThan(12);
  }, 240_000);

  test('teardown leaves the machine as it was found', async () => {
    await kill('SIGTERM');
    await lab.agent('teardown');
    expect(await rulesOf(lab)).toBe(foundRules);
    expect(await lab.node.run(['ipset', 'list', '-n'])).toBe('');
    expect(await lab.node.status(['ip', 'link', 'show', 'wg0'])).toBe(1);
    expect(await lab.node.run(['cat', '/proc/sys/net/ipv4/conf/br-internal/forwarding'])).toBe('0\n');
    expect(await lab.node.run(['cat', '/proc/sys/net/netfilter/nf_conntrack_tcp_loose'])).toBe('1\n');
    expect(await lab.agent('teardown')).toBe('');
  });
});

function peersOf({ node }: Lab): Promise<string> {
  return node.run(['wg', 'show', 'wg0', 'peers']).catch(() => '');
}

/** All rules of the machine, without counters and dates. */
async function rulesOf({ node }: Lab): Promise<string> {
  const both = `${await node.run(['iptables-save'])}${await node.run(['ip6tables-save'])}`;
  return both.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '[0:0]');
}

function tampered(text: string): string {
  const [header, payload = '', signature] = text.split('.');
  const changed = Buffer.from(payload, 'base64url').toString().replace('"developer"', '"admin"');
  return [header, Buffer.from(changed).toString('base64url'), signature].join('.');
}

/** What arrives at the service, by whom: the developer's packets are longer than the admin's. */
async function countArrivals({ service }: Lab) {
  const count = (...match: string[]) => service.run(['iptables', '-A', 'INPUT', '-p', 'icmp', ...match]);
  await count('-d', internal, '-m', 'length', '--length', '84');
  await count('-d', internal, '-m', 'length', '--length', '128');
  await count('-d', sandbox);
  return async () => {
    const shown = await service.run(['iptables-save', '-c']);
    const [allowed, developer, ungranted] = [...shown.matchAll(/^\[(\d+):\d+\] -A INPUT/gm)].map((line) =>
      Number(line[1]),
    );
    return { allowed, developer, ungranted };
  };
}

/** Stand-ins that come first on the PATH: they count, kill the agent that calls them when told to, or do the real thing. */
async function killingPrograms(lab: Lab) {
  const directory = `${lab.stateDir}/programs`;
  await mkdir(directory);
  for (const program of ['iptables-restore', 'ip6tables-restore', 'ipset', 'ip', 'setsid']) {
    const real = Bun.which(program);
    const script = `#!/bin/sh
count=$(($(cat "$KILL_COUNT" 2>/dev/null || echo 0) + 1)); echo $count > "$KILL_COUNT"
[ "$count" = "$KILL_BEFORE" ] && { kill -9 $PPID; exit 1; }
exec ${real} "$@"\n`;
    await Bun.write(`${directory}/${program}`, script);
    await chmod(`${directory}/${program}`, 0o755);
  }
  return {
    killBefore(place: number): Record<string, string> {
      const count = `${directory}/count-${crypto.randomUUID()}`;
      return { PATH: `${directory}:${process.env.PATH}`, KILL_BEFORE: String(place), KILL_COUNT: count };
    },
  };
}
