import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import * as v from 'valibot';
import { complete } from './command.ts';
import { repository } from './paths.ts';
import { whyUnavailable } from './unavailable.ts';

// Hosts take a second or two to boot on a busy machine.
setDefaultTimeout(30_000);
const unavailable = await whyUnavailable();
if (unavailable !== undefined) console.warn(`skipped: ${unavailable}`);
const command = join(repository, 'ops/lab');

/** The same command for somebody else: the clone may lie in a folder that only its owner may enter. */
const elsewhere = '/mnt/ops/lab';
const asNobody = (first = ':') => [
  ...['unshare', '--mount', 'sh', '-euc', `mount --bind "$0" /mnt; ${first}; exec "$@"`, repository],
  ...['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', 'env', '-C', '/', 'HOME=/tmp'],
];

const Line = v.strictObject({
  scenario: v.literal('lab'),
  passed: v.literal(true),
  figures: v.record(v.string(), v.number()),
  steps: v.pipe(v.array(v.looseObject({ name: v.string(), passed: v.boolean(), ms: v.number() })), v.minLength(1)),
});

const usage = [
  { argv: ['run', 'no-such-thing'], exitCode: 2, says: /There is no no-such-thing/ },
  { argv: ['rnu'], exitCode: 2, says: /Did you mean run/ },
  { argv: ['run'], exitCode: 2, says: /missing required argument/ },
  { argv: ['shell', 'no-such-host'], exitCode: 2, says: /No lab runs|There is no host/ },
];

describe('ops/lab', () => {
  test.each(usage)('refuses $argv', async ({ argv, exitCode, says }) => {
    const answer = await complete([command, ...argv]);
    expect(answer.exitCode).toBe(exitCode);
    expect(answer.stdout).toBe('');
    expect(answer.stderr).toMatch(says);
  });

  test('lists each scenario on a line', async () => {
    const { stdout, exitCode } = await complete([command, 'list']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^lab +the lab itself/m);
  });
});

describe.skipIf(unavailable !== undefined)('ops/lab run', () => {
  test('--json prints exactly one line, whose figures fit', async () => {
    const { stdout, exitCode } = await complete([command, 'run', 'lab', '--short', '--json']);
    expect(stdout.endsWith('\n')).toBe(true);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    v.parse(Line, JSON.parse(stdout));
    expect(exitCode).toBe(0);
  });

  test('says which permission is missing', async () => {
    const bounded = ['setpriv', '--bounding-set', '-sys_admin', '--inh-caps', '-sys_admin'];
    const noNamespaces = await complete([...bounded, command, 'run', 'lab', '--json']);
    expect(noNamespaces.stderr).toContain('CAP_SYS_ADMIN');
    expect(noNamespaces.exitCode).toBe(3);

    const hidden = 'f=$(mktemp); chmod 600 "$f"; mount --bind "$f" /dev/net/tun; rm "$f"';
    const noTun = await complete([...asNobody(hidden), elsewhere, 'run', 'lab', '--json']);
    expect(noTun.stderr).toMatch(/\/dev\/net\/tun cannot be opened|may not make user namespaces/);
    expect(noTun.exitCode).toBe(3);
  });

  test('works for a user who is not root', async () => {
    const openTun = ['sh', '-c', 'exec 3<>/dev/net/tun'];
    const allowed = await complete([...asNobody(), 'unshare', '--user', '--map-root-user', ...openTun]);
    const { stdout, stderr, exitCode } = await complete([...asNobody(), elsewhere, 'run', 'lab', '--short', '--json']);
    if (allowed.exitCode === 0) v.parse(Line, JSON.parse(stdout));
    else expect(stderr).toMatch(/user namespaces|\/dev\/net\/tun cannot be opened/);
    expect(exitCode).toBe(allowed.exitCode === 0 ? 0 : 3);
  });
});
