import { describe, expect, test } from 'bun:test';
import { textFiles } from './repository.ts';
import { isForTests } from './rules.ts';
import { secretComparisons } from './secret-compares.ts';

/** Named like a secret, and none: by the line, with the reason. */
const shownHash = 'the audit log shows its hashes to its readers';
const sameFile = 'a digest of a file that a daemon was given, which nobody presents';
const allowed: Record<string, string> = {
  'if (refused?.digest === digest && performance.now() - refused.at < checkAgainMs) return inForce;': sameFile,
  'else if (running.loaded !== digest) await reload(daemon, running, digest);': sameFile,
  'if (digest !== row.bundle_digest) dateBundle(store, row.id, digest, revision, now);':
    'a digest of what the device itself was given, which nobody presents',
  'if (row.hash === keptHead) known = { id: row.id, at: row.at, row: rows };': shownHash,
  'if (firstBroken === null && chainHash(previous, row) !== row.hash) firstBroken = row.id;': shownHash,
  "if (bytes.length !== 32 || bytes.toString('base64') !== privateKey)": 'a device looks at its own file',
};

describe('a secret is compared in constant time', () => {
  // Policies and the lab hold no secrets: there a token is a word or a packet.
  const programs = /^(?:api|agent|client-script|contract|ops\/(?:cli|setup))\/.*\.ts$/;
  const sources = textFiles().filter(({ path }) => programs.test(path) && !isForTests(path));

  test('everywhere', () => {
    expect(sources.length).toBeGreaterThan(150);
    const found = sources.flatMap(({ path, text }) => secretComparisons(path, text));
    expect(found.filter(({ text }) => !(text in allowed))).toEqual([]);
    expect(Object.keys(allowed).filter((line) => !found.some(({ text }) => text === line))).toEqual([]);
  });

  test.each([
    'if (row.hash === hash) return;',
    'return stored.tokenHash !== sha256Hex(token);',
    'const same = token == expected;',
    'if (expected.token.equals(given)) return;',
    'if (a.startsWith(secret)) return;',
    'return options.passphrase === given ? 1 : 2;',
    'backing.claims.hash === hash &&',
    "if (kind === 'x' && signature !== computed) throw e;",
    'if (mac(body) === request.signature) return;',
  ])('not by %s', (line) => expect(secretComparisons('x.ts', line)).toHaveLength(1));

  test.each([
    'if (token === undefined) return;',
    'if (null !== secret) return;',
    "if (scheme === 'token') return;",
    'if (kind === other) return; // hash === hash',
    ' * token === token',
    "if (token.startsWith('pst_')) return;",
    'if (tokens.length === other.length) return;',
    'if (!timingSafeEqual(a.hash, b.hash)) return;',
  ])('but what tells nothing is: %s', (line) => expect(secretComparisons('x.ts', line)).toEqual([]));
});
