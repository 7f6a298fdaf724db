import { describe, expect, test } from 'bun:test';

/**
 * The compiled examples in a real kernel, in a network namespace of their own: they load, and what the kernel gives
 * back is to the letter what we wrote, so that comparing finds drift and nothing but drift.
 */
const folder = new URL('../examples/', import.meta.url).pathname;
const expected = [...new Bun.Glob('*.expected').scanSync(folder)].sort();

const programs = ['unshare', 'ipset', 'iptables-restore', 'ip6tables-restore'];
const missing = programs.filter((program) => Bun.which(program) === null);
const isRoot = process.getuid?.() === 0;
const skip = !isRoot || missing.length > 0;
const why = !isRoot
  ? ' (skipped: needs root for a network namespace)'
  : skip
    ? ` (skipped: no ${missing.join(', ')})`
    : '';

const script = `
ipset restore < "$1" && iptables-restore --noflush < "$2" && ip6tables-restore --noflush < "$3" || exit 1
iptables-save; echo ====; ip6tables-save; echo ====; ipset save
`;

/** A machine with a list of protocols tells VRRP by its name. */
const own = (text: string) =>
  text
    .replaceAll(' -p vrrp ', ' -p 112 ')
    .split('\n')
    .filter((line) => line.startsWith('-A POSTERN'));
const added = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('add '))
    .sort();
/** The kernel counts down while we look. */
const withoutSeconds = (lines: string[]) => lines.map((line) => line.replace(/timeout \d+/, 'timeout'));

describe.skipIf(skip)(`in a kernel${why}`, () => {
  test.each(expected)('%s is saved as it was written', async (name) => {
    const text = await Bun.file(`${folder}${name}`).text();
    const [, sets = '', v4 = '', v6 = ''] = text.split(/^# (?:sets|IPv4|IPv6|hooks)\n/m);
    const files = await Promise.all(
      [sets, v4, v6].map(async (part, i) => {
        const path = `${process.env.TMPDIR ?? '/tmp'}/postern-render-${process.pid}-${i}`;
        await Bun.write(path, part.replace(/^\n/gm, ''));
        return path;
      }),
    );
    const child = Bun.spawn(['unshare', '-n', 'sh', '-c', script, 'sh', ...files], { stdout: 'pipe', stderr: 'pipe' });
    const [output, problem, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    await Promise.all(files.map((path) => Bun.file(path).delete()));
    expect({ status, problem }).toEqual({ status: 0, problem: '' });

    const [saved4 = '', saved6 = '', savedSets = ''] = output.split('====\n');
    for (const [written, saved] of [
      [v4, saved4],
      [v6, saved6],
    ] as const) {
      const byChain = (lines: string[]) =>
        lines.toSorted((a, b) => (a.split(' ')[1] ?? '').localeCompare(b.split(' ')[1] ?? ''));
      expect(byChain(own(saved))).toEqual(byChain(own(written)));
    }
    expect(withoutSeconds(added(savedSets))).toEqual(withoutSeconds(added(sets)));
  });
});
