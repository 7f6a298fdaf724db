import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A clone on a machine whose only programs are those in its bin folder. */
let clone: string;
let bin: string;

const always = ['sh', 'sed', 'cat', 'cksum', 'mkdir', 'dirname', 'flock', 'touch', 'sleep'];
const nodePrograms = [
  ...['wg', 'wireguard-go', 'iptables', 'ipset', 'ip', 'openssl'],
  ...['keepalived', 'nginx', 'dnsmasq', 'curl'],
];

beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'postern-bootstrap-'));
  bin = join(clone, 'bin');
  for (const folder of ['bin', 'ops', 'node_modules', '.tools/node_modules/.bin'])
    mkdirSync(join(clone, folder), { recursive: true });
  copyFileSync(join(import.meta.dir, 'bootstrap.sh'), join(clone, 'ops/bootstrap.sh'));
  writeFileSync(join(clone, 'package.json'), '{\n  "packageManager": "bun@1.2.3"\n}\n');
  writeFileSync(join(clone, 'bun.lock'), 'the lock');
  for (const name of always) symlinkSync(Bun.which(name) ?? '', join(bin, name));
  for (const name of nodePrograms) program(name, ':');
  program('id', 'if [ "$1" = -u ]; then echo 0; else echo root; fi');
});
afterEach(() => rmSync(clone, { recursive: true }));

function program(name: string, body: string, folder = bin): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(folder, name), 0o755);
}

/** An npm that takes a while to install a Bun, which in turn notes how it was called. */
function offerBun(): void {
  const bun = join(clone, '.tools/node_modules/.bin/bun');
  program('chmod-bun', `printf '#!/bin/sh\\necho "bun $*" >>${clone}/calls\\n' >${bun}; /bin/chmod 755 ${bun}`);
  program('npm', `echo "npm $*" >>${clone}/calls; sleep 0.2; chmod-bun`);
}

async function bootstrap(who = 'node'): Promise<{ exitCode: number; said: string }> {
  // The folders that the script adds for iptables may hold this machine's own programs: an empty root would hide them.
  const script = `here=${clone}/ops; postern_for=${who}; . "$here/bootstrap.sh"; echo done`;
  const child = Bun.spawn([join(bin, 'sh'), '-euc', script], {
    env: { PATH: bin },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const exitCode = await child.exited;
  expect(stdout).toBe(exitCode === 0 ? 'done\n' : '');
  return { exitCode, said: stderr };
}

const calls = () => (existsSync(join(clone, 'calls')) ? readFileSync(join(clone, 'calls'), 'utf8') : '').split('\n');

describe('bootstrap', () => {
  test('installs Bun by npm and the libraries by Bun, once, and is silent from then on', async () => {
    offerBun();
    const first = await bootstrap();
    expect(first.exitCode).toBe(0);
    expect(first.said).toContain('installing Bun 1.2.3');
    const done = [
      `npm install --prefix ${clone}/.tools --no-save --no-audit --no-fund --loglevel=error bun@1.2.3`,
      'bun --version',
      'bun install --frozen-lockfile --silent',
      '',
    ];
    expect(calls()).toEqual(done);
    expect(await bootstrap()).toEqual({ exitCode: 0, said: '' });
    expect(calls()).toEqual(done);
  });

  test('started twice at once, installs once', async () => {
    offerBun();
    const both = await Promise.all([bootstrap(), bootstrap()]);
    expect(both.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(calls().filter((call) => call.startsWith('npm'))).toHaveLength(1);
  });

  test('installs anew what a new lock or a new version asks for', async () => {
    offerBun();
    await bootstrap();
    writeFileSync(join(clone, 'bun.lock'), 'another lock');
    await bootstrap();
    expect(calls().filter((call) => call === 'bun install --frozen-lockfile --silent')).toHaveLength(2);
    writeFileSync(join(clone, 'package.json'), '{\n  "packageManager": "bun@1.2.4"\n}\n');
    await bootstrap();
    expect(calls().at(-3)).toEndWith('bun@1.2.4');
  });

  test('fetches the lists of packages only when apt cannot do without, and never what is recommended', async () => {
    offerBun();
    await bootstrap();
    rmSync(join(bin, 'wg'));
    program(
      'apt-get',
      `echo "$*" >>${clone}/apt; case " $* " in *" update "*) touch ${clone}/lists ;; esac; [ -e ${clone}/lists ]`,
    );
    const { exitCode, said } = await bootstrap();
    expect({ exitCode, said }).toEqual({ exitCode: 0, said: 'postern: installing wireguard-tools with apt ...\n' });
    const verbs = readFileSync(join(clone, 'apt'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((call) => call.replace(/^-q -y -o \S+ /, ''));
    expect(verbs).toEqual([
      'install --no-install-recommends wireguard-tools',
      'update --no-install-recommends',
      'install --no-install-recommends wireguard-tools',
    ]);
  });

  test('without root names what is missing and leaves apt alone', async () => {
    offerBun();
    await bootstrap();
    rmSync(join(bin, 'wg'));
    program('id', 'if [ "$1" = -u ]; then echo 1000; else echo ana; fi');
    program('apt-get', `echo "$*" >>${clone}/apt`);
    const { exitCode, said } = await bootstrap();
    expect({ exitCode, said }).toMatchObject({
      exitCode: 0,
      said: expect.stringContaining('install --no-install-recommends wireguard-tools'),
    });
    expect(existsSync(join(clone, 'apt'))).toBe(false);
  });

  test('needs no packages for the tools alone', async () => {
    offerBun();
    for (const name of nodePrograms) rmSync(join(bin, name));
    expect((await bootstrap('tools')).said).not.toContain('missing');
  });

  test('says what to do when npm is missing', async () =>
    expect(await bootstrap()).toEqual({
      exitCode: 6,
      said: 'postern: npm is missing. Install Node.js 20 or newer with npm, and run this again.\n',
    }));

  test('takes a lock that is missing for an error: it would install other versions than were tested', async () => {
    offerBun();
    rmSync(join(clone, 'bun.lock'));
    const { exitCode, said } = await bootstrap();
    expect({ exitCode, said }).toMatchObject({ exitCode: 6, said: expect.stringContaining('bun.lock is missing') });
  });
});
