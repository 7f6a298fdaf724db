import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { carry } from './carrier.ts';
import { complete } from './command.ts';
import type { Host } from './host.ts';
import { Lab } from './lab.ts';
import { relay } from './relay.ts';
import { blackhole, forward, masquerade, setLink } from './router.ts';
import { whyUnavailable } from './unavailable.ts';

// Hosts take a second or two to boot on a busy machine.
setDefaultTimeout(30_000);
const unavailable = await whyUnavailable();
if (unavailable !== undefined) console.warn(`skipped: ${unavailable}`);

let lab: Lab;
beforeEach(() => {
  lab = Lab.create();
});
afterEach(() => lab.close());

const reaches = async (from: Host, address: string, ...options: string[]) =>
  (await from.run(['ping', '-nqc', '1', '-W', '1', ...options, address])).exitCode === 0;

/** left 10.1.0.2 -- middle -- 10.2.0.2 right */
async function threeInALine(): Promise<[Host, Host, Host]> {
  const [left, middle, right] = await lab.boot('left', 'middle', 'right');
  await lab.link(
    { host: left, name: 'eth0', address: '10.1.0.2/24' },
    { host: middle, name: 'left0', address: '10.1.0.1/24' },
  );
  await lab.link(
    { host: right, name: 'eth0', address: '10.2.0.2/24' },
    { host: middle, name: 'right0', address: '10.2.0.1/24' },
  );
  await left.ip('route add default via 10.1.0.1');
  await right.ip('route add default via 10.2.0.1');
  await forward(middle);
  return [left, middle, right];
}

describe.skipIf(unavailable !== undefined)('a host', () => {
  test('has its own name, files, processes and interfaces', async () => {
    const [a, b] = await lab.boot('a', 'b');
    const mark = `lab-mark-${process.pid}`;
    for (const folder of ['/run', '/tmp', '/etc', '/var/lib', '/usr/local', '/root']) {
      await a.must(['touch', join(folder, mark)]);
      expect((await b.run(['ls', join(folder, mark)])).exitCode).not.toBe(0);
      expect(existsSync(join(folder, mark))).toBe(false);
    }
    expect(await a.must(['hostname'])).toBe('a\n');
    expect(await a.must(['cat', '/etc/hostname'])).toBe('a\n');
    expect((await a.must(['ls', '/sys/class/net'])).trim().split('\n')).toEqual(['lo']);
    a.start('sleep', ['sleep', '600']);
    expect(await b.must(['ps', 'ax'])).not.toContain('sleep 600');
  });

  test('runs programs with input, output, exit code, time limit and folder', async () => {
    const [a] = await lab.boot('a');
    expect(await a.run(['sh', '-c', 'cat; echo no >&2; exit 7'], { stdin: 'yes' })).toEqual({
      stdout: 'yes',
      stderr: 'no\n',
      exitCode: 7,
    });
    expect((await a.run(['sleep', '60'], { timeoutMs: 100 })).exitCode).not.toBe(0);
    expect(a.processes().filter(({ argv }) => argv.startsWith('sleep'))).toEqual([]);
    expect(await a.must(['pwd'], { cwd: '/etc' })).toBe('/etc\n');
    expect(await a.must(['sh', '-c', 'echo $COLOUR'], { env: { COLOUR: 'green and blue' } })).toBe('green and blue\n');
  });

  test('has a first process that leaves no zombies', async () => {
    const [a] = await lab.boot('a');
    await a.must(['sh', '-c', 'for i in 1 2 3; do (sh -c "sleep 0.05 & exit" &); done; sleep 0.3']);
    expect(await a.must(['ps', '-eo', 'stat='])).not.toContain('Z');
  });

  test('gives programs a terminal, and starts, stops and kills them in the background', async () => {
    const [a] = await lab.boot('a');
    const session = a.terminal(['sh', '-c', 'printf "name? "; read name </dev/tty; echo "hello $name"']);
    await session.shows(/name\? /);
    session.type('ana\n');
    await session.shows(/hello ana/);
    expect(await session.exited).toBe(0);

    const polite = a.start('polite', [
      'sh',
      '-c',
      'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.05; done',
    ]);
    await polite.says(/up/);
    expect(await polite.stop()).toBe(3);
    expect(polite.output()).toBe('up\nbye\n');
    const stubborn = a.start('stubborn', ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.05; done']);
    await stubborn.says(/up/);
    expect(await a.kill9(/^sh -c trap "" TERM/)).toBe(1);
    expect(await stubborn.exited).not.toBe(0);
    await a.kill9(/./);
    expect(a.processes()).toEqual([]);
    expect(await a.must(['hostname'])).toBe('a\n');
  });
});

describe.skipIf(unavailable !== undefined)('a network', () => {
  test('passes packets on, until a link goes down or a router swallows them', async () => {
    const [left, middle] = await threeInALine();
    expect(await reaches(left, '10.2.0.2')).toBe(true);
    await blackhole(middle, 'right0', true);
    expect(await reaches(left, '10.2.0.2')).toBe(false);
    await blackhole(middle, 'right0', false);
    expect(await reaches(left, '10.2.0.2')).toBe(true);
    await setLink(middle, 'right0', 'down');
    expect(await reaches(left, '10.2.0.2')).toBe(false);
  });

  test('hides what is behind a NAT', async () => {
    const [left, middle, right] = await threeInALine();
    await right.ip('route del default');
    await masquerade(middle, 'right0', 20);
    expect(await reaches(left, '10.2.0.2')).toBe(true);
    await right.ip('route add default via 10.2.0.1');
    expect(await reaches(right, '10.1.0.2')).toBe(false);
    expect(await middle.must(['sysctl', '-n', 'net.netfilter.nf_conntrack_udp_timeout'])).toBe('20\n');
  });

  test('delays and loses about what a relay was asked to', async () => {
    const [left, middle] = await threeInALine();
    await relay(middle, ['left0', 'right0'], { delayMs: 15, jitterMs: 3, loss: 0.2, seed: 5 });
    const { stdout } = await left.run(['ping', '-i', '0.01', '-qc', '200', '-W', '1', '10.2.0.2']);
    const lost = Number(/([\d.]+)% packet loss/.exec(stdout)?.[1]);
    const average = Number(/= [\d.]+\/([\d.]+)/.exec(stdout)?.[1]);
    expect(lost).toBeGreaterThan(15);
    expect(lost).toBeLessThan(60);
    expect(average).toBeGreaterThan(24);
    expect(average).toBeLessThan(300);
  });
});

/** left -- a --(the carrier)-- b -- right */
async function acrossCarrier(carrier: Parameters<typeof carry>[2]): Promise<Host> {
  const [left, a, b, right] = await lab.boot('left', 'a', 'b', 'right');
  await lab.link(
    { host: left, name: 'eth0', address: '10.1.0.2/24' },
    { host: a, name: 'in0', address: '10.1.0.1/24' },
  );
  await lab.link({ host: a, name: 'hop0', address: '10.3.0.1/24' }, { host: b, name: 'hop0', address: '10.3.0.2/24' });
  await lab.link(
    { host: b, name: 'out0', address: '10.2.0.1/24' },
    { host: right, name: 'eth0', address: '10.2.0.2/24' },
  );
  await left.ip('route add default via 10.1.0.1');
  await a.ip('route add 10.2.0.0/24 via 10.3.0.2');
  await b.ip('route add 10.1.0.0/24 via 10.3.0.1');
  await right.ip('route add default via 10.2.0.1');
  await Promise.all([forward(a), forward(b)]);
  await carry({ router: a, name: 'hop0' }, { router: b, name: 'hop0' }, carrier);
  return left;
}

/** Of a packet of 1428 bytes: `whole` may not be taken apart, `parts` may. */
const carriers = [
  { name: 'a small hop says so and fragments', carrier: { mtu: 1300 }, told: true, whole: false, parts: true },
  {
    name: 'a black hole says nothing',
    carrier: { mtu: 1300, dropsFragNeeded: true },
    told: false,
    whole: false,
    parts: true,
  },
  {
    name: 'fragments are dropped',
    carrier: { mtu: 1300, dropsFragments: true },
    told: true,
    whole: false,
    parts: false,
  },
  {
    name: "don't-fragment is taken off",
    carrier: { mtu: 1300, dropsFragNeeded: true, clearsDf: true },
    told: false,
    whole: true,
    parts: true,
  },
  { name: 'a wide hop carries all', carrier: {}, told: false, whole: true, parts: true },
];

describe.skipIf(unavailable !== undefined)('a carrier', () => {
  test.each(carriers)('$name', async ({ carrier, told, whole, parts }) => {
    const left = await acrossCarrier(carrier);
    expect(await reaches(left, '10.2.0.2', '-s', '1000')).toBe(true);
    expect(await reaches(left, '10.2.0.2', '-s', '1400', '-M', 'dont')).toBe(parts);
    const probe = ['ping', '-nc', '1', '-W', '1', '-s', '1400', '-M', 'do', '10.2.0.2'];
    const { stdout, stderr, exitCode } = await left.run(probe);
    expect(exitCode === 0).toBe(whole);
    expect(/frag needed|message too long/i.test(stdout + stderr)).toBe(told);
  });
});

describe.skipIf(unavailable !== undefined)('a lab that is killed', () => {
  test('leaves no process, namespace or interface', async () => {
    const links = await complete(['ip', '-br', 'link']);
    const fixture = [process.execPath, join(import.meta.dir, 'fixtures/waiting-lab.ts')];
    const child = Bun.spawn(['setpriv', '--pdeathsig', 'KILL', ...fixture], { stdout: 'pipe' });
    const { value } = await child.stdout.getReader().read();
    const { logs, hosts, inside } = JSON.parse(new TextDecoder().decode(value));
    const networks = hosts.map((pid: number) => readlinkSync(`/proc/${pid}/ns/net`));
    expect(inside.length).toBeGreaterThanOrEqual(2);
    // Held by process: the kernel gives the number of a namespace that is gone to the next that anybody makes.
    const holders = readdirSync('/proc').filter((pid) => networks.includes(networkOf(pid)));

    child.kill('SIGKILL');
    await child.exited;
    const gone = (pid: number) => networkOf(`${pid}`) === undefined;
    const left = () => holders.filter((pid) => networks.includes(networkOf(pid)));
    const isOver = () => [...hosts, ...inside].every(gone) && left().length === 0;
    for (let waited = 0; waited < 3_000 && !isOver(); waited += 20) await Bun.sleep(20);
    expect([...hosts, ...inside].filter((pid: number) => !gone(pid))).toEqual([]);
    expect(left()).toEqual([]);
    expect(await complete(['ip', '-br', 'link'])).toEqual(links);
    rmSync(logs, { recursive: true });
  });
});

function networkOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}
