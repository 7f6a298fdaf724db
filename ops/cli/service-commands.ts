import type { Command } from 'commander';
import * as v from 'valibot';
import { Convergence } from '#contract/admin.ts';
import { ClosedPort, ServiceResource } from '#contract/places.ts';
import { describeConvergence } from './device-commands.ts';
import type { Master } from './master.ts';
import { type Column, showList, showOne } from './screen.ts';
import type { Session } from './session.ts';

const serviceColumns: Column<ServiceResource>[] = [
  { title: 'NAME', of: ({ name }) => name },
  { title: 'ADDRESS', of: ({ address }) => address },
  { title: 'PORTS', of: ({ ports }) => ports.join(', ') },
  { title: 'DNS NAME', of: ({ dnsName }) => dnsName ?? '' },
  { title: 'FRONT', of: ({ front, frontAddress }) => (front === null ? 'none' : `${front} at ${frontAddress}`) },
  { title: 'ROLES', of: ({ roles }) => roles.join(', ') || 'none' },
];

const portColumns: Column<ClosedPort>[] = [
  { title: 'NODE', of: ({ node }) => node },
  { title: 'INTERFACE', of: ({ device }) => device },
  { title: 'PORT', of: ({ port }) => port },
];

type AddWords = { port: string[]; role?: string[]; name?: string; front: boolean };
type PortWords = { add?: string[]; remove?: string[]; node: string; dev: string; force: boolean };

/** Both `tcp/5432` and `5432/tcp` are said. */
const spelled = (word: string) => word.replace(/^(\d+(?:-\d+)?)\/(tcp|udp)$/, '$2/$1');

export function addServiceCommands(program: Command, session: Session): void {
  const service = program.command('service').description('named things in a network, and who reaches them');

  service
    .command('add <name> <address>')
    .description('add a service; devices that may reach it learn of it by themselves')
    .requiredOption('--port <port...>', 'its ports, such as tcp/443')
    .option('--role <role...>', 'the roles that may reach it')
    .option('--name <dns-name>', 'its name inside the tunnel')
    .option('--front', 'an address of its own inside the tunnel, with HTTPS', false)
    .addHelpText(
      'after',
      '\nExample:\n  postern service add gitlab 172.19.0.10 --port tcp/443 tcp/22 --name git.corp.internal --role developer',
    )
    .action((name: string, address: string, words: AddWords) =>
      session(async (master, screen) => {
        const body = {
          name,
          address,
          ports: words.port.map(spelled),
          ...(words.name === undefined ? {} : { dnsName: words.name }),
          ...(words.front ? { front: 'https' } : {}),
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

  program
    .command('port')
    .description('ports of a node that are closed to the public and open through the tunnel')
    .option('-a, --add <port...>', 'close these to the public, such as 5432/tcp')
    .option('-r, --remove <port...>', 'leave these to the public again')
    .option('--node <node>', 'the node', 'n1')
    .option('--dev <interface>', 'its public interface', 'eth0')
    .option('--force', 'also SSH: if the tunnel fails, so does the way to repair it', false)
    .addHelpText(
      'after',
      `
Without -a and -r it lists them.

Examples:
  postern port -a 5432/tcp --dev eno1
  postern port -r 5432/tcp --dev eno1`,
    )
    .action(({ add = [], remove = [], node, dev, force }: PortWords) =>
      session(async (master, screen) => {
        const at = { node, device: dev };
        if (add.length > 0)
          await master.call(Listed, 'POST', '/v1/ports', {
            ...at,
            ports: add.map(spelled),
            ...(force ? { force } : {}),
          });
        for (const port of remove.map(spelled))
          await master.call(Convergence, 'DELETE', `/v1/ports?${new URLSearchParams({ ...at, port })}`);
        showList(screen, await closedPorts(master), portColumns, 'No port is closed to the public by the policy.');
      }),
    );
}

const Listed = v.object({ items: v.array(ClosedPort) });
const closedPorts = async (master: Master) => (await master.call(Listed, 'GET', '/v1/ports')).items;
