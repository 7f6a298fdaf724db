import { resolve } from 'node:path';
import type { Command } from 'commander';
import * as v from 'valibot';
import { type Aftermath, type Life, MasterStatus } from '#contract/life.ts';
import { compareVersions } from '#contract/snapshot.ts';
import { callMaster, readPassphrase, runMaster } from './local.ts';
import { bytes, showOne } from './screen.ts';
import type { LocalSession, Session } from './session.ts';

const Made = v.object({ file: v.string(), bytes: v.number(), epoch: v.number(), revision: v.number() });
const Verified = v.object({ ...Made.entries, createdAt: v.string(), users: v.number(), devices: v.number() });
const Promoted = v.object({ epoch: v.number(), revision: v.number() });

export function addBackupCommands(program: Command, session: Session, localSession: LocalSession): void {
  const backup = program.command('backup').description('all that a new machine needs, in one encrypted file');

  backup
    .command('create <file>')
    .description("make a backup while all goes on, on the master's machine; the recovery passphrase opens it")
    .option('--recovery-file <file>', 'a file with the recovery passphrase, where a master from earlier asks for it')
    .addHelpText('after', '\nExample:\n  postern backup create /mnt/elsewhere/postern-$(date +%F).backup')
    .action((file: string, { recoveryFile }: { recoveryFile?: string }) =>
      localSession(async (stateDir, screen) => {
        const { needsPassphrase } = JSON.parse(await runMaster(stateDir, ['backup', 'needs-passphrase']));
        const passphrase = needsPassphrase === true ? await readPassphrase(recoveryFile) : '';
        const words = ['backup', 'create', '--out', resolve(file)];
        const made = v.parse(Made, JSON.parse(await runMaster(stateDir, words, passphrase)));
        showOne(screen, made, `${made.file}: revision ${made.revision} of epoch ${made.epoch}, ${bytes(made.bytes)}.`);
      }),
    );

  backup
    .command('verify <file>')
    .description('read a backup to its end and look through the database in it; it asks for the recovery passphrase')
    .option('--recovery-file <file>', 'a file with the recovery passphrase')
    .action((file: string, { recoveryFile }: { recoveryFile?: string }) =>
      localSession(async (_, screen) => {
        const passphrase = await readPassphrase(recoveryFile);
        const said = await callMaster(['backup', 'verify', '--file', resolve(file)], passphrase);
        const found = v.parse(Verified, JSON.parse(said));
        showOne(
          screen,
          JSON.parse(said),
          `${found.file} is whole: revision ${found.revision} of epoch ${found.epoch}, made ${found.createdAt}, ` +
            `with ${found.users} users and ${found.devices} devices.`,
        );
      }),
    );

  const master = program.command('master').description('the master itself');

  master
    .command('status')
    .description('show its epoch, and what a restore or a promotion left behind')
    .action(() =>
      session(async (api, screen) => {
        const status = await api.call(MasterStatus, 'GET', '/v1/master');
        showOne(screen, status, describeStatus(status));
      }),
    );

  master
    .command('promote')
    .description("have this machine's copy of the database go on as the master, in a new epoch")
    .addHelpText('after', '\nStop the other master first: whoever has joined there since has to join again here.')
    .action(() =>
      localSession(async (stateDir, screen) => {
        const promoted = v.parse(Promoted, JSON.parse(await runMaster(stateDir, ['promote'])));
        showOne(screen, promoted, `Epoch ${promoted.epoch} has begun. Nodes and devices follow by themselves.`);
      }),
    );
}

/** What a person needs to know, and to do. */
export function describeStatus({ epoch, revision, publicUrl, superseded, life }: MasterStatus): string {
  const lines = [`${publicUrl}: epoch ${epoch}, revision ${revision}`];
  if (superseded !== null) {
    const { by, node, at } = superseded;
    lines.push(
      `It stands still: at ${at} the node ${node} showed revision ${by.revision} of epoch ${by.epoch}, which is newer.`,
      'If another master has taken over, stop this one. If this one is to go on: postern master promote',
    );
  }
  if (life !== null) lines.push(...describeLife(life));
  return lines.join('\n');
}

function describeLife(life: Life): string[] {
  const { cause, beganAt, from, copiedAt, witnessed, awaited, aftermath } = life;
  const began = cause === 'restore' ? `a backup made ${copiedAt}` : `a copy last changed ${copiedAt}`;
  const lines = [`This epoch began ${beganAt} with ${began}: revision ${from.revision} of epoch ${from.epoch}.`];
  if (compareVersions(witnessed, from) === 0) lines.push('No node has shown anything newer than that.');
  else
    lines.push(
      `A node had revision ${witnessed.revision} of epoch ${witnessed.epoch}: changes between are lost, but for what follows.`,
      ...describeAftermath(aftermath),
    );
  if (awaited.length > 0) lines.push(`Not heard yet, and may know more: ${awaited.join(', ')}.`);
  return lines;
}

function describeAftermath(aftermath: Aftermath): string[] {
  const devices = (list: Aftermath['revoked']) =>
    list.map(({ name, email, address }) => `${name} of ${email} (${address})`);
  const { roles, policy } = aftermath;
  const parts: [string, readonly string[]][] = [
    ['Revoked again', devices(aftermath.revoked)],
    ['Disabled again', aftermath.disabled],
    ['Given their later role', roles.map(({ email, from, to }) => `${email} (${to}, was ${from})`)],
    ['Nodes removed again', aftermath.removedNodes],
    ['Could not be done again, do it by hand', aftermath.toClose],
    ['Have to join again', devices(aftermath.lostDevices)],
    ['Users to be added again', aftermath.lostUsers],
    ['Nodes to be added again', aftermath.lostNodes],
    ['Put in force again', policy === 'taken-over' ? ['the policy as it was last'] : []],
    [
      'To be looked at',
      policy === 'to-compare' ? ['the policy was another one, which cannot be put in force here'] : [],
    ],
  ];
  return parts.flatMap(([title, list]) => (list.length === 0 ? [] : [`  ${title}: ${list.join(', ')}.`]));
}
