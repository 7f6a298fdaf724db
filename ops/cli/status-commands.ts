import type { Command } from 'commander';
import { Status } from '#contract/status.ts';
import { ago, inert, showOne } from './screen.ts';
import type { Session } from './session.ts';

export function addStatusCommands(program: Command, session: Session): void {
  program
    .command('status')
    .description('how the installation is, and what needs somebody')
    .addHelpText('after', '\nExample:\n  postern status --json | jq .warnings')
    .action(() =>
      session(async (master, screen) => {
        const status = await master.call(Status, 'GET', '/v1/status');
        showOne(screen, status, describe(status, new Date()));
      }),
    );
}

function describe(status: Status, now: Date): string {
  const { version, startedAt, epoch, revision, nodes, devices, users, ready, reasons, warnings } = status;
  const state = ready ? 'ready' : `not ready: ${reasons.join(', ')}`;
  const lines = [
    `master   ${version}, ${state}; started ${ago(startedAt, now)}`,
    `state    epoch ${epoch}, revision ${revision}`,
    `nodes    ${nodes.connected} of ${nodes.total} connected, ${nodes.behind} behind`,
    `devices  ${devices.online} of ${devices.total} online; users: ${users}`,
  ];
  if (warnings.length === 0) return [...lines, '', 'Nothing needs anybody.'].join('\n');
  return [...lines, '', ...warnings.map(({ code, message }) => `${code}: ${inert(message)}`)].join('\n');
}
