import { join } from 'node:path';
import * as v from 'valibot';
import { normaliseCode } from '#contract/code.ts';
import type { Host } from '../host.ts';
import { expect, type Scenario } from '../scenario.ts';
import { addresses, machineAtHome, type Office, openOffice } from './office.ts';
import { joinByHand, type Master, makeCode, makeUser, masterOn, stateDir, up } from './product.ts';

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** What is changed on its way, by someone with a certificate of their own or with the master's own TLS key. */
type Attack = { name: string; swap: string; certificate: 'own' | 'stolen'; exitCode: number };

const trustFailure = 5;
const attacks: readonly Attack[] = [
  { name: 'another join.sh', swap: 'script', certificate: 'own', exitCode: 1 },
  { name: 'another client program', swap: 'program', certificate: 'own', exitCode: trustFailure },
  { name: 'another manifest, under their own key', swap: 'manifest', certificate: 'own', exitCode: trustFailure },
  { name: 'another trust list, under their own root', swap: 'trust', certificate: 'own', exitCode: trustFailure },
  { name: 'another bundle, under their own key', swap: 'bundle', certificate: 'own', exitCode: trustFailure },
  { name: 'nothing changed, only listened to', swap: 'nothing', certificate: 'own', exitCode: trustFailure },
  {
    name: 'another manifest, with the stolen TLS key',
    swap: 'manifest',
    certificate: 'stolen',
    exitCode: trustFailure,
  },
  { name: 'another bundle, with the stolen TLS key', swap: 'bundle', certificate: 'stolen', exitCode: trustFailure },
];

export const mitm: Scenario = {
  name: 'mitm',
  description: 'someone between client and master swaps script, program, manifest, trust list or bundle, or listens',
  topology: `
  laptop -- home (NAT) -- internet -- 198.51.100.10 n1
                             |
                          mallory 198.18.0.2    (the master's port is led here on its way from home)
`,
  figures: v.object({ swaps: Count, found_out: Count, installed: Count, codes_seen: Count }),
  async run({ lab, step, check }) {
    const { office, master, mallory } = await step('a master, and mallory on the path to it', async () => {
      const opened = await openOffice(lab);
      const [host] = await lab.boot('mallory');
      await lab.link(
        { host: opened.internet, name: 'to-mallory', address: '198.18.0.1/24' },
        { host, name: 'eth0', address: '198.18.0.2/24' },
      );
      await host.ip('route add default via 198.18.0.1');
      await up(opened.node);
      return { office: opened, master: await masterOn(opened.node), mallory: host };
    });
    const userId = await makeUser(master, 'ana@example.com', 'admin');

    const figures = { swaps: attacks.length, found_out: 0, installed: 0, codes_seen: 0 };
    for (const [index, attack] of attacks.entries()) {
      await check(`${attack.name}: found out`, async (note) => {
        const victim = await machineAtHome(lab, office, `laptop${index}`);
        const outcome = await attempt({ office, master, mallory, victim, userId, attack });
        if (outcome.installed.length > 0) figures.installed += 1;
        if (outcome.sawCode && attack.certificate === 'own') figures.codes_seen += 1;
        const said = outcome.screen.trim().split('\n').slice(-3).join('\n');
        const reached = outcome.swapped > 0 ? 'the swapped answer arrived' : 'nothing that was swapped was asked for';
        note(`exit code ${outcome.exitCode}, ${reached}:\n${said}`);
        expect(outcome.asked > 0, () => 'nobody passed by mallory: this proves nothing');
        expect(
          outcome.exitCode === attack.exitCode,
          () => `exit code ${outcome.exitCode}, not ${attack.exitCode}:\n${said}`,
        );
        figures.found_out += 1;
        expect(outcome.installed.length === 0, () => `left behind: ${outcome.installed.join(' ')}`);
        expect(attack.certificate === 'stolen' || !outcome.sawCode, () => 'mallory has read the code');
      });
    }
    await check('with mallory gone, the same line works', async () => {
      await joinByHand(master, await machineAtHome(lab, office, 'laptop'), userId);
    });
    return figures;
  },
};

type Scene = { office: Office; master: Master; mallory: Host; victim: Host; userId: string; attack: Attack };
type Outcome = {
  exitCode: number;
  screen: string;
  asked: number;
  swapped: number;
  installed: string[];
  sawCode: boolean;
};

/** A person runs the genuine join line on a new machine, and types the code if anything asks for it. */
async function attempt(scene: Scene): Promise<Outcome> {
  const { office, master, mallory, victim, userId, attack } = scene;
  const record = '/root/record.jsonl';
  await mallory.run(['rm', '-f', record]);
  const settings = { swap: attack.swap, upstream: `https://${addresses.node}:8443`, record, ...(await pair(scene)) };
  const interceptor = mallory.start(
    `interceptor-${attack.swap}-${attack.certificate}`,
    ['bun', join(import.meta.dir, '../programs/interceptor.ts')],
    { stdin: JSON.stringify(settings) },
  );
  await interceptor.says(/listening/);
  await lead(office, '-A');

  const { code, join: line } = await makeCode(master, userId);
  await victim.must(['touch', '/tmp/before']);
  const session = victim.terminal(['sh', '-c', line.sh], { cwd: '/root' });
  const asked = session.shows(/code[^\n]*[:?>]\s*$/i, 20_000).then(
    () => session.type(`${code}\n`),
    () => {},
  );
  const exitCode = await session.exited;
  await asked;

  await lead(office, '-D');
  await interceptor.stop('SIGKILL');
  const recording = (await mallory.run(['cat', record])).stdout;
  return {
    exitCode,
    screen: session.screen,
    asked: recording.split('\n').length - 1,
    swapped: recording.split('\n').filter((line) => line.endsWith('"swapped":true}')).length,
    installed: await leftBehind(victim),
    sawCode: normaliseCode(recording).includes(normaliseCode(code)),
  };
}

/** Leads what goes from the home router to the master's port to mallory instead, or no longer. */
async function lead({ internet }: Office, change: '-A' | '-D'): Promise<void> {
  const port = ['-i', 'to-home', '-p', 'tcp', '-d', addresses.node, '--dport', '8443'];
  await internet.must([
    'iptables',
    '-t',
    'nat',
    change,
    'PREROUTING',
    ...port,
    '-j',
    'DNAT',
    '--to',
    '198.18.0.2:8443',
  ]);
}

async function pair({ attack, master, mallory }: Scene): Promise<{ cert: string; key: string }> {
  if (attack.certificate === 'stolen') {
    const tls = `${stateDir}/master/tls`;
    return {
      cert: await master.node.must(['cat', `${tls}/cert.pem`]),
      key: await master.node.must(['cat', `${tls}/key.pem`]),
    };
  }
  const name = ['-subj', '/CN=postern', '-addext', `subjectAltName=IP:${addresses.node}`];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const files = ['-keyout', '/root/key.pem', '-out', '/root/cert.pem'];
  await mallory.must(['openssl', 'req', '-x509', '-nodes', '-days', '2', ...curve, ...name, ...files]);
  return { cert: await mallory.must(['cat', '/root/cert.pem']), key: await mallory.must(['cat', '/root/key.pem']) };
}

/** Files that are new since before the attempt, and interfaces that were not there. */
async function leftBehind(victim: Host): Promise<string[]> {
  const folders = ['/etc', '/var/lib', '/usr/local', '/opt', '/root'];
  const files = await victim.must(['find', ...folders, '-xdev', '-newer', '/tmp/before', '-type', 'f']);
  const interfaces = (await victim.must(['ls', '/sys/class/net']))
    .split('\n')
    .filter((name) => !/^(lo|eth0)?$/.test(name));
  return [...files.split('\n').filter((file) => file !== ''), ...interfaces];
}
