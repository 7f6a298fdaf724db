import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, stat, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeAuthority } from '../fixture/authority.ts';
import { person, snapshotOf } from '../fixture/roster.ts';
import { openCache } from './cache.ts';
import { type AgentPaths, agentPaths, initialise } from './config.ts';

const authority = await makeAuthority();
const now = new Date('2026-11-02T00:00:00.000Z');
const people = [person('ana', 'admin', 1)];
const signed = (revision: number, change = {}) => authority.signSnapshot(snapshotOf(people, { revision, ...change }));

let stateDirectory: string;
let paths: AgentPaths;
const open = (root = authority.root) => openCache(paths, root);
const trustIn = async (cache = open(), from = authority, version = 1) =>
  cache.keepTrust(await from.signTrust(['T'.repeat(43)], version));

beforeEach(async () => {
  stateDirectory = await mkdtemp(join(tmpdir(), 'postern-cache-'));
  paths = agentPaths(stateDirectory);
  await initialise(paths);
});
afterEach(() => rm(stateDirectory, { recursive: true, force: true }));

describe('the cache', () => {
  test('gives back after a restart what it was given', async () => {
    const cache = open();
    await cache.keepSnapshot(await signed(7), await trustIn(cache), now);
    expect((await open().load()).snapshot?.revision).toBe(7);
  });

  test('is closed at first, and says why', async () =>
    expect(await open().load()).toMatchObject({ snapshot: undefined, closedBecause: 'no snapshot was fetched yet' }));

  test('keeps its files to itself', async () => {
    await open().keepSnapshot(await signed(7), await trustIn(), now);
    for (const path of [paths.snapshot, paths.trust, paths.highWater, paths.wireguardKey, paths.agentKey])
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(paths.directory)).mode & 0o777).toBe(0o700);
  });

  test.each([
    ['an older revision', 6, 1],
    ['an older epoch with a higher revision', 99, 0],
  ])('refuses %s, also after a restart', async (_, revision, epoch) => {
    const trust = await trustIn();
    await open().keepSnapshot(await signed(7), trust, now);
    await expect(open().keepSnapshot(await signed(revision, { epoch }), trust, now)).rejects.toThrow(
      'is older than 1-7',
    );
    expect((await open().load()).snapshot?.revision).toBe(7);
  });

  test('takes a newer epoch with a lower revision', async () => {
    const trust = await trustIn();
    await open().keepSnapshot(await signed(7), trust, now);
    await open().keepSnapshot(await signed(1, { epoch: 2 }), trust, now);
    expect((await open().load()).snapshot).toMatchObject({ epoch: 2, revision: 1 });
  });

  test.each(['snapshot', 'trust', 'highWater'] as const)(
    'is closed by a damaged %s file, and says why',
    async (file) => {
      await open().keepSnapshot(await signed(7), await trustIn(), now);
      await Bun.write(paths[file], 'damaged');
      const { snapshot, closedBecause } = await open().load();
      expect(snapshot).toBeUndefined();
      expect(closedBecause).toStartWith('the cache cannot be used: ');
    },
  );

  test('a damaged high-water mark does not open the way back behind the cached snapshot', async () => {
    const trust = await trustIn();
    await open().keepSnapshot(await signed(7), trust, now);
    await Bun.write(paths.highWater, 'damaged');
    const cache = open();
    await cache.load();
    await expect(cache.keepSnapshot(await signed(6), trust, now)).rejects.toThrow('is older than 1-7');
    await cache.keepSnapshot(await signed(8), trust, now);
    expect((await open().load()).snapshot?.revision).toBe(8);
  });

  test('a lost high-water mark is made anew from the snapshot', async () => {
    const trust = await trustIn();
    await open().keepSnapshot(await signed(7), trust, now);
    await unlink(paths.highWater);
    expect((await open().load()).snapshot?.revision).toBe(7);
    await expect(open().keepSnapshot(await signed(6), trust, now)).rejects.toThrow('is older than');
  });

  test('a list of keys by another root is refused, and so is an older one', async () => {
    await trustIn(open(), authority, 3);
    await expect(trustIn(open(), await makeAuthority(), 4)).rejects.toThrow('another root key');
    await expect(trustIn(open(), authority, 2)).rejects.toThrow('is older than 3');
  });

  test('a key that has run out signs nothing new, but what it signed before is still used from the cache', async () => {
    const brief = await makeAuthority('2026-11-10T00:00:00.000Z');
    const cache = open(brief.root);
    const trust = await trustIn(cache, brief);
    const text = await brief.signSnapshot(snapshotOf(people, { revision: 7 }));
    await cache.keepSnapshot(text, trust, now);
    await expect(cache.keepSnapshot(text, trust, new Date('2026-11-11T00:00:00.000Z'))).rejects.toThrow('ran out');
    expect((await open(brief.root).load()).snapshot?.revision).toBe(7);
  });
});
