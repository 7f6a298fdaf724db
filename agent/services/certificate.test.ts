import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IssuedCertificate } from '#contract/certificate.ts';
import { makeFrontAuthority } from '../fixture/front-authority.ts';
import { until } from '../fixture/hosts.ts';
import { runCommand } from '../system/command.ts';
import { type CertificateKeeper, keepCertificate, needsRenewal } from './certificate.ts';

const names = ['gitlab.corp.internal', 'n1.corp.internal'];
const dayMs = 86_400_000;

describe("a node's certificate", () => {
  let directory: string;
  let authority: Awaited<ReturnType<typeof makeFrontAuthority>>;
  let keeper: CertificateKeeper;
  let asked: number;
  let changes: number;
  let vouchesFor: readonly string[];
  let isThere: boolean;

  const ask = async (csr: string): Promise<IssuedCertificate> => {
    asked += 1;
    if (!isThere) throw new Error('the master cannot be reached');
    const certificate = await authority.certify(csr, vouchesFor);
    return { certificate, authority: '', names: [...vouchesFor], notAfter: '2099-01-01T00:00:00.000Z' };
  };
  const open = async (now = () => new Date()) => {
    keeper = await keepCertificate({
      keyFile: join(directory, 'front.key'),
      certificateFile: join(directory, 'certificate.json'),
      node: 'n1',
      run: runCommand,
      ask,
      now,
      log: () => undefined,
      onChange: () => {
        changes += 1;
      },
    });
  };
  const held = () => keeper.current()?.names ?? [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-certificate-'));
    authority = await makeFrontAuthority(directory);
    [asked, changes, vouchesFor, isThere] = [0, 0, names, true];
    await open();
  });
  afterEach(async () => {
    keeper.stop();
    await rm(directory, { recursive: true, force: true });
  });

  test('is asked for when there are names, kept, and found again without the master', async () => {
    expect(keeper.current()).toBeUndefined();
    keeper.aimFor([]);
    keeper.aimFor(names);
    await until('it is there', () => held().length === 2);
    expect((await stat(join(directory, 'front.key'))).mode & 0o777).toBe(0o600);
    expect([asked, changes]).toEqual([1, 1]);
    const { key } = keeper.current() ?? {};
    keeper.stop();
    isThere = false;
    await open();
    keeper.aimFor(names);
    expect(keeper.current()).toMatchObject({ names, key: key ?? '' });
    expect(asked).toBe(1);
  });

  test('is asked for anew when a name is missing, and not when one is too many', async () => {
    keeper.aimFor(names);
    await until('it is there', () => held().length === 2);
    keeper.aimFor(names.slice(1));
    keeper.aimFor(names);
    expect(asked).toBe(1);
    vouchesFor = [...names, 'vault.corp.internal'];
    keeper.aimFor(vouchesFor);
    await until('it has the name', () => held().includes('vault.corp.internal'));
    expect(keeper.problem()).toBeUndefined();
  });

  test('that the master does not give is asked for again, and what there is stays', async () => {
    keeper.aimFor(names);
    await until('it is there', () => held().length === 2);
    isThere = false;
    vouchesFor = [...names, 'vault.corp.internal'];
    keeper.aimFor(vouchesFor);
    await until('it is told', () => keeper.problem() === 'the master cannot be reached');
    expect(held()).toEqual(names);
    isThere = true;
    keeper.retry();
    await until('it has the name', () => held().includes('vault.corp.internal'));
    expect(keeper.problem()).toBeUndefined();
  });

  test('that is damaged on the disk counts as none', async () => {
    await writeFile(join(directory, 'certificate.json'), '{"certificate":"half');
    keeper.stop();
    await open();
    expect(keeper.current()).toBeUndefined();
  });

  test('is renewed at half of its life', async () => {
    keeper.aimFor(names);
    await until('it is there', () => held().length === 2);
    const { certificate = '' } = keeper.current() ?? {};
    const dueIn = (days: number) => needsRenewal({ certificate, names }, names, new Date(Date.now() + days * dayMs));
    expect([dueIn(0), dueIn(44), dueIn(46), dueIn(100)]).toEqual([false, false, true, true]);
  });
});
