import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { readUpOptions } from './options.ts';
import { localUrl } from './register.ts';
import { portsOf } from './summary.ts';

/** The command itself: wrong words end its process. Nothing is set up before they are understood. */
async function up(...words: string[]) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'up.ts'), ...words], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

describe('ops/up', () => {
  test.each([
    [['--listen', '8443'], /HOST:PORT/],
    [['--listen', '0.0.0.0:70000'], /HOST:PORT/],
    [['--pool', '10.0.0.1/18'], /host bits/],
    [['--pool', '10.0.0.0'], /subnet/],
    [['--endpoint', 'a;b'], /host:port/],
    [['--owner', 'ana'], /e-mail/],
    [['--detatch'], /Did you mean --detach/],
    [['now'], /too many arguments/],
  ])('refuses %p', async (words, says) => {
    const { exitCode, stdout, stderr } = await up(...words);
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 2, stdout: '', stderr: expect.stringMatching(says) });
  });

  test('explains itself', async () => {
    const { exitCode, stdout } = await up('--help');
    expect(exitCode).toBe(0);
    for (const option of [
      'state-dir',
      'listen',
      'endpoint',
      'pool',
      'owner',
      'tls-cert',
      'tls-key',
      'acme',
      'recovery-file',
      'detach',
      'json',
    ])
      expect(stdout).toContain(`--${option}`);
  });
});

test.each([
  ['vpn.example.com', 'vpn.example.com:51820'],
  ['vpn.example.com:443', 'vpn.example.com:443'],
  ['198.51.100.7', '198.51.100.7:51820'],
  ['2001:db8::1', '[2001:db8::1]:51820'],
  ['[2001:db8::1]', '[2001:db8::1]:51820'],
  ['[2001:db8::1]:443', '[2001:db8::1]:443'],
])('--endpoint %s is %s', (given, endpoint) => expect(readUpOptions(['--endpoint', given]).endpoint).toBe(endpoint));

test.each([
  ['0.0.0.0:8443', 'https://127.0.0.1:8443'],
  ['[::]:8443', 'https://[::1]:8443'],
  ['198.51.100.7:443', 'https://198.51.100.7'],
])('a master that listens on %s is reached from its own machine at %s', (listen, origin) =>
  expect(localUrl(listen).origin).toBe(origin),
);

test('the ports to open are those of the endpoint and of the API', () =>
  expect(portsOf({ endpoint: '[2001:db8::1]:4500', listen: '[::]:443' })).toMatchObject([
    { port: 4500, protocol: 'udp' },
    { port: 443, protocol: 'tcp' },
  ]));
