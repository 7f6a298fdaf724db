import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../fixture/hosts.ts';
import { runCommand } from '../system/command.ts';
import { dnsmasqDaemon, type Resolver as Known, readableFiles, renderNames, renderServers } from './dnsmasq.ts';
import { hasManyUsers, readableDirectory, removeReadable, writeReadable } from './readable.ts';
import { endDaemons } from './run-record.ts';
import { openSupervisor, type Supervisor } from './supervise.ts';

setDefaultTimeout(30_000);

const known: Known = {
  domain: 'corp.internal',
  upstreams: ['127.77.1.9'],
  names: [
    { name: 'gitlab.corp.internal', address: '10.91.127.1' },
    { name: 'wiki.example.com', address: '172.19.0.12' },
  ],
  addresses: ['127.77.1.1', '127.77.1.2'],
  pool: '10.91.64.0/18',
};

test('names that are ours go nowhere, wherever they lie', () =>
  expect(renderServers(known)).toBe('server=/corp.internal/\nserver=/wiki.example.com/\nserver=127.77.1.9\n'));

test('without upstreams nobody is asked', () =>
  expect(renderServers({ ...known, upstreams: [] })).not.toContain('server=1'));

const obstacle =
  process.getuid?.() !== 0 || Bun.which('dnsmasq') === null ? 'needs root and dnsmasq, for port 53' : undefined;
if (obstacle !== undefined) console.log(`skipped: ${obstacle}`);

describe.skipIf(obstacle !== undefined)('dnsmasq', () => {
  let directory: string;
  let supervisor: Supervisor;
  /** Somebody's resolver outside: notes the names it is asked for, and knows one address for all. */
  const upstream = createSocket('udp4');
  const asked: string[] = [];
  let theirAddress = [203, 0, 113, 7];

  const put = async (resolver: Known) => {
    const readable = readableDirectory(directory);
    const files = readableFiles(readable);
    await writeReadable(files.names, renderNames(resolver));
    await writeReadable(files.servers, renderServers(resolver));
    const user = hasManyUsers() ? 'nobody' : 'root';
    supervisor.set('dnsmasq', dnsmasqDaemon(resolver, { directory, readable, user }));
  };
  const ask = async (name: string, kind: 'A' | 'AAAA' | 'PTR' = 'A', server = '127.77.1.1') => {
    const resolver = new Resolver({ timeout: 500, tries: 1 });
    resolver.setServers([server]);
    return resolver.resolve(name, kind).catch((error: { code: string }) => error.code);
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-dnsmasq-'));
    supervisor = openSupervisor({ run: runCommand, directory, log: () => undefined });
    upstream.on('message', (question, from) => {
      const labels: string[] = [];
      let at = 12;
      for (; question[at] !== 0; at += 1 + (question[at] ?? 0))
        labels.push(question.toString('latin1', at + 1, at + 1 + (question[at] ?? 0)));
      asked.push(labels.join('.').toLowerCase());
      const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...theirAddress]);
      const body = Buffer.concat([question.subarray(0, at + 5), answer]);
      body.writeUInt16BE(0x8180, 2);
      body.writeUInt16BE(1, 6);
      body.writeUInt16BE(0, 10);
      upstream.send(body, from.port, from.address);
    });
    await new Promise<void>((resolve) => upstream.bind(53, '127.77.1.9', resolve));
    await put(known);
    await until('it answers', async () => Array.isArray(await ask('gitlab.corp.internal')));
  });
  afterAll(async () => {
    supervisor.stop();
    await endDaemons(directory);
    await removeReadable(directory);
    upstream.close();
    await rm(directory, { recursive: true, force: true });
  });

  test.each([
    ['a name of ours', 'gitlab.corp.internal', 'A', ['10.91.127.1']],
    ['its other kind of address', 'gitlab.corp.internal', 'AAAA', 'ENOTFOUND'],
    ['a name that does not exist', 'nobody.corp.internal', 'A', 'ENOTFOUND'],
    ['a name of ours outside the domain', 'wiki.example.com', 'A', ['172.19.0.12']],
    ['below it', 'a.wiki.example.com', 'A', 'ENOTFOUND'],
    ['back from an address', '1.127.91.10.in-addr.arpa', 'PTR', ['gitlab.corp.internal']],
    ['back from a private address of nobody', '9.9.168.192.in-addr.arpa', 'PTR', 'ENOTFOUND'],
    ['a bare word', 'gitlab', 'A', 'ENOTFOUND'],
  ] as const)('%s is answered here', async (_, name, kind, expected) => {
    asked.length = 0;
    expect(await ask(name, kind)).toEqual(expected as unknown as string[]);
    expect(asked).toEqual([]);
  });

  test('all others are asked for, and an answer that would lead inside is none', async () => {
    expect(await ask('example.org', 'A', '127.77.1.2')).toEqual(['203.0.113.7']);
    expect(asked).toContain('example.org');
    theirAddress = [10, 91, 127, 1];
    expect(await ask('rebind.example.org')).toBe('ENOTFOUND');
  });

  test('names and upstreams change while it runs; another address starts it anew', async () => {
    const before = supervisor.state('dnsmasq').pid;
    await put({ ...known, upstreams: [], names: [{ name: 'gitlab.corp.internal', address: '10.91.127.2' }] });
    await until('the name is changed', async () => String(await ask('gitlab.corp.internal')) === '10.91.127.2');
    expect(await ask('wiki.example.com')).not.toEqual(['172.19.0.12']);
    expect(supervisor.state('dnsmasq').pid).toBe(before ?? 0);
    await put({ ...known, addresses: ['127.77.1.3'] });
    await until('it answers there', async () => Array.isArray(await ask('gitlab.corp.internal', 'A', '127.77.1.3')));
    expect(supervisor.state('dnsmasq').pid).not.toBe(before ?? 0);
  });
});
