import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootHost, type Host, until, whyNoNamespaces } from '../fixture/hosts.ts';
import { generatePrivateKey, publicKeyOf } from '../formats/wireguard-key.ts';
import type { WireGuardDriver } from './wireguard.ts';
import { kernelDriver } from './wireguard-kernel.ts';
import { answersOn, userspaceDriver, watchSocket } from './wireguard-userspace.ts';

setDefaultTimeout(30_000);
const obstacle = whyNoNamespaces();
if (obstacle !== undefined) console.warn(`wireguard.netns: skipped: ${obstacle}`);

const privateKey = generatePrivateKey();
const ana = publicKeyOf(generatePrivateKey());
const ben = publicKeyOf(generatePrivateKey());

/** Both drivers act on a real interface here; wg(8), by which the kernel's works, speaks to wireguard-go as well. */
describe.skipIf(obstacle !== undefined)('a WireGuard driver', () => {
  let host: Host;
  let directory: string;
  const drivers: Record<string, WireGuardDriver> = {};

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-wg-'));
    const keyFile = join(directory, 'wg.key');
    await writeFile(keyFile, `${privateKey}\n`, { mode: 0o600 });
    host = await bootHost('n1');
    for (const name of ['wg-a', 'wg-b', 'wg-c']) await host.run(['wireguard-go', name]);
    const run = (argv: readonly string[], stdin?: string) => host.run(argv, stdin);
    drivers['by wg'] = kernelDriver(run, 'wg-a', keyFile);
    drivers['by its socket'] = userspaceDriver(socketOf('wg-b'), async () => privateKey);
  });
  afterAll(async () => {
    await host?.stop();
    await rm(directory, { recursive: true, force: true });
  });
  const socketOf = (name: string) => `/proc/${host.pid}/root/run/wireguard/${name}.sock`;
  const driver = (name: string): WireGuardDriver => {
    const found = drivers[name];
    if (found === undefined) throw new Error(`no driver ${name}`);
    return found;
  };
  const peersOf = async (name: string) =>
    (await driver(name).observe()).peers
      .map(({ publicKey, allowedIps }) => ({ publicKey, allowedIps }))
      .toSorted((a, b) => (a.publicKey === ana ? -1 : b.publicKey === ana ? 1 : 0));

  describe.each(['by wg', 'by its socket'])('%s', (name) => {
    test('sets key and port, and shows them again', async () => {
      for (let time = 0; time < 2; time++) await driver(name).configure(name === 'by wg' ? 51821 : 51822);
      const { publicKey, listenPort } = await driver(name).observe();
      expect({ publicKey, listenPort }).toEqual({
        publicKey: publicKeyOf(privateKey),
        listenPort: name === 'by wg' ? 51821 : 51822,
      });
    });

    test('adds peers, changes and removes them, as often as it is told', async () => {
      const both = [
        { kind: 'set-peer', on: name, publicKey: ana, allowedIps: ['10.91.1.1/32'] },
        { kind: 'set-peer', on: name, publicKey: ben, allowedIps: ['10.91.1.2/32', '10.91.1.3/32'] },
      ] as const;
      for (let time = 0; time < 2; time++) await driver(name).applyPeers(both);
      expect(await peersOf(name)).toEqual([
        { publicKey: ana, allowedIps: ['10.91.1.1/32'] },
        { publicKey: ben, allowedIps: ['10.91.1.2/32', '10.91.1.3/32'] },
      ]);
      const exchange = [
        { kind: 'remove-peer', on: name, publicKey: ben },
        { kind: 'set-peer', on: name, publicKey: ana, allowedIps: ['10.91.1.2/32'] },
      ] as const;
      for (let time = 0; time < 2; time++) await driver(name).applyPeers(exchange);
      expect(await peersOf(name)).toEqual([{ publicKey: ana, allowedIps: ['10.91.1.2/32'] }]);
    });

    test('takes all addresses from a peer and leaves it', async () => {
      await driver(name).applyPeers([{ kind: 'set-peer', on: name, publicKey: ana, allowedIps: [] }]);
      expect(await peersOf(name)).toEqual([{ publicKey: ana, allowedIps: [] }]);
    });

    test('puts in more peers than fit in one command', async () => {
      const many = Array.from({ length: 1200 }, (_, number) => ({
        kind: 'set-peer' as const,
        on: name,
        publicKey: publicKeyOf(generatePrivateKey()),
        allowedIps: [`10.91.${8 + (number >> 8)}.${number & 255}/32`],
      }));
      await driver(name).applyPeers(many);
      expect((await driver(name).observe()).peers).toHaveLength(1201);
      await driver(name).applyPeers(many.map(({ publicKey }) => ({ kind: 'remove-peer', on: name, publicKey })));
      expect((await driver(name).observe()).peers).toHaveLength(1);
    });
  });

  test('the end of wireguard-go is noticed, though its socket file stays', async () => {
    const socket = socketOf('wg-c');
    let hasEnded = false;
    const watch = watchSocket(socket);
    watch.onEnd(() => {
      hasEnded = true;
    });
    watch.begin();
    expect(await answersOn(socket)).toBe(true);
    await host.run(['pkill', '-KILL', '-f', 'wireguard-go wg-c']);
    await until('it is noticed', () => hasEnded);
    // The kernel closes what a killed program held a moment after its end is seen.
    for (let tries = 0; tries < 100 && (await answersOn(socket)); tries += 1) await Bun.sleep(20);
    expect(await answersOn(socket)).toBe(false);
    expect(await host.status(['test', '-S', '/run/wireguard/wg-c.sock'])).toBe(0);
  });

  test('a socket that nobody made does not answer', async () =>
    expect(await answersOn(socketOf('wg-nobody'))).toBe(false));
});
