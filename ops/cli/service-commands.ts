import { type Command, Option } from 'commander';
import * as v from 'valibot';
import { Convergence } from '#contract/admin.ts';
import { Preset, ServiceResource } from '#contract/places.ts';
import { describeConvergence } from './device-commands.ts';
import { asPort } from './port-commands.ts';
import { type Column, showList, showOne } from './screen.ts';
import type { Session } from './session.ts';

const serviceColumns: Column<ServiceResource>[] = [
  { title: 'NAME', of: ({ name }) => name },
  { title: 'ADDRESS', of: ({ address }) => address },
  { title: 'PORTS', of: ({ ports }) => ports.join(', ') },
  { title: 'DNS NAME', of: ({ dnsName }) => dnsName ?? '' },
  { title: 'FRONT', of: ({ front, frontAddress }) => (front === null ? 'none' : `${front} at ${frontAddress}`) },
  { title: 'PRESET', of: ({ preset }) => preset ?? '' },
  { title: 'ROLES', of: ({ roles }) => roles.join(', ') || 'none' },
];

type AddWords = { port: string[]; role?: string[]; name?: string; front: boolean; preset?: string };

export function addServiceCommands(program: Command, session: Session): void {
  const service = program.command('service').description('named things in a network, and who reaches them');

  service
    .command('add <name> <address>')
    .description('add a service; devices that may reach it learn of it by themselves')
    .requiredOption('--port <port...>', 'its ports, such as tcp/443')
    .option('--role <role...>', 'the roles that may reach it')
    .option('--name <dns-name>', 'its name inside the tunnel')
    .option('--front', 'an address of its own inside the tunnel, with HTTPS', false)
    .addOption(
      new Option('--preset <program>', 'with --front: the program behind it')
        .choices([...Preset.options])
        .implies({ front: true }),
    )
    .addHelpText(
      'after',
      '\nExample:\n  postern service add gitlab 172.19.0.10 --port tcp/80 tcp/22 --name git.corp.internal --preset gitlab --role developer',
    )
    .action((name: string, address: string, words: AddWords) =>
      session(async (master, screen) => {
        const body = {
          name,
          address,
          ports: words.port.map(asPort),
          ...(words.name === undefined ? {} : { dnsName: words.name }),
          ...(words.front ? { front: 'https' } : {}),
          ...(words.preset === undefined ? {} : { preset: words.preset }),
          ...(words.role === undefined ? {} : { roles: words.role }),
        };
        const added = await master.call(ServiceResource, 'POST', '/v1/services', body);
        showOne(screen, added, `${added.name} is open to: ${added.roles.join(', ') || 'nobody'}.`);
      }),
    );

  service
    .command('list')
    .description('list the services')
    .action(() =>
      session(async (master, screen) => {
        const { items } = await master.call(v.object({ items: v.array(ServiceResource) }), 'GET', '/v1/services');
        showList(screen, items, serviceColumns, 'There are no services. Add one: postern service add --help');
      }),
    );

  service
    .command('remove <name>')
    .description('remove a service')
    .option('--with-access', 'take the access to it along; without this it is refused while a line grants any', false)
    .action((name: string, { withAccess }: { withAccess: boolean }) =>
      session(async (master, screen) => {
        const path = `/v1/services/${encodeURIComponent(name)}${withAccess ? '?uses=remove' : ''}`;
        const convergence = await master.call(Convergence, 'DELETE', path);
        showOne(screen, convergence, `${name} is removed: ${describeConvergence(convergence)}.`);
      }),
    );
}
