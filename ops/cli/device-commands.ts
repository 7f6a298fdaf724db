import type { Command } from 'commander';
import { Convergence, Device } from '#contract/admin.ts';
import { findDevice, listDevices } from './find.ts';
import { ago, ahead, bytes, type Column, showDetails, showList, showOne } from './screen.ts';
import { readSeconds } from './seconds.ts';
import type { Session } from './session.ts';

const columns: Column<Device>[] = [
  { title: 'NAME', of: (device) => device.name },
  { title: 'USER', of: (device) => device.email },
  { title: 'ADDRESS', of: (device) => device.address },
  { title: 'PLATFORM', of: (device) => device.platform },
  { title: 'HANDSHAKE', of: (device) => ago(device.latestHandshake, new Date()) },
  { title: 'RECEIVED', of: (device) => bytes(device.receivedBytes) },
  { title: 'SENT', of: (device) => bytes(device.sentBytes) },
  { title: 'ENDS', of: ({ expiresAt }) => (expiresAt === null ? 'never' : ahead(expiresAt, new Date())) },
];

/** "in force on n1, n2; still to follow: n3". */
export function describeConvergence({ appliedBy, pending }: Convergence): string {
  const done = appliedBy.length === 0 ? 'in force on no node yet' : `in force on ${appliedBy.join(', ')}`;
  return pending.length === 0 ? done : `${done}; still to follow: ${pending.join(', ')}`;
}

export function addDeviceCommands(program: Command, session: Session): void {
  const device = program.command('device').description("users' machines; named by name, tunnel address or id");

  device
    .command('list')
    .description('list the devices')
    .action(() =>
      session(async (master, screen) =>
        showList(screen, await listDevices(master), columns, 'There are no devices. Let one in: postern code add USER'),
      ),
    );

  device
    .command('show <device>')
    .description('show a device')
    .action((word: string) =>
      session(async (master, screen) => {
        showDetails(screen, await findDevice(master, word), columns);
      }),
    );

  device
    .command('rename <device> <name>')
    .description('rename a device')
    .action((word: string, name: string) =>
      session(async (master, screen) => {
        const { id } = await findDevice(master, word);
        const renamed = await master.call(Device, 'PATCH', `/v1/devices/${id}`, { name });
        showOne(screen, renamed, `${word} is called ${renamed.name} now.`);
      }),
    );

  device
    .command('renew <device>')
    .description('move the end of a machine, counted from now')
    .requiredOption('--for <seconds>', 'how long it stays from now on', readSeconds)
    .addHelpText('after', '\nExample:\n  postern device renew build-7 --for 86400')
    .action((word: string, options: { for: number }) =>
      session(async (master, screen) => {
        const { id } = await findDevice(master, word);
        const expiresAt = new Date(Date.now() + options.for * 1000).toISOString();
        const renewed = await master.call(Device, 'PATCH', `/v1/devices/${id}`, { expiresAt });
        showOne(screen, renewed, `${renewed.name} of ${renewed.email} stays until ${renewed.expiresAt}.`);
      }),
    );

  device
    .command('revoke <device>')
    .description('take a device out, its running connections included')
    .addHelpText('after', '\nExample:\n  postern device revoke 10.91.64.70')
    .action((word: string) =>
      session(async (master, screen) => {
        const { id, name, email } = await findDevice(master, word);
        const convergence = await master.call(Convergence, 'DELETE', `/v1/devices/${id}`);
        showOne(screen, convergence, `${name} of ${email} is revoked: ${describeConvergence(convergence)}.`);
      }),
    );
}
