import type { Command } from 'commander';
import * as v from 'valibot';
import { Convergence, NetworkResource } from '#contract/admin.ts';
import { describeConvergence } from './device-commands.ts';
import { type Column, showList, showOne } from './screen.ts';
import type { Session } from './session.ts';

const networkColumns: Column<NetworkResource>[] = [
  { title: 'NAME', of: (network) => network.name },
  { title: 'SUBNET', of: (network) => network.cidr },
  { title: 'THROUGH', of: ({ gateways }) => gateways.map(({ node, device }) => `${node} ${device}`).join(', ') },
  { title: 'ROLES', of: (network) => network.roles.join(', ') || 'none' },
  { title: 'NAT', of: (network) => (network.nat ? 'yes' : 'no') },
];

type AddOptions = { dev: string; node: string; role: string[]; nat: boolean };

export function addNetworkCommands(program: Command, session: Session): void {
  const network = program.command('network').description('internal networks and who reaches them');

  network
    .command('add <name> <subnet>')
    .description('advertise a network; devices that are inside learn of it by themselves')
    .requiredOption('--dev <interface>', 'the interface it lies behind on the node')
    .option('--node <node>', 'the node that leads to it', 'n1')
    .option('--role <role...>', 'the roles that may reach it', ['admin'])
    .option('--no-nat', 'keep the devices’ own addresses: the network must know the way back')
    .addHelpText('after', '\nExample:\n  postern network add internal 172.19.0.0/16 --dev br-internal --role admin')
    .action((name: string, cidr: string, { dev, node, role, nat }: AddOptions) =>
      session(async (master, screen) => {
        const body = {
          name,
          cidr,
          gateways: [{ node, device: dev }],
          nat,
          ...(role === undefined ? {} : { roles: role }),
        };
        const added = await master.call(NetworkResource, 'POST', '/v1/networks', body);
        showOne(screen, added, `${added.name} (${added.cidr}) is open to: ${added.roles.join(', ') || 'nobody'}.`);
      }),
    );

  network
    .command('list')
    .description('list the networks')
    .action(() =>
      session(async (master, screen) => {
        const { items } = await master.call(v.object({ items: v.array(NetworkResource) }), 'GET', '/v1/networks');
        showList(
          screen,
          items,
          networkColumns,
          'There are no networks. Add one: postern network add NAME SUBNET --dev INTERFACE',
        );
      }),
    );

  network
    .command('remove <name>')
    .description('remove a network; refused while lines of the policy name it')
    .option('--with-access', 'take the grants and tests that name it along', false)
    .addHelpText('after', '\nExample:\n  postern network remove internal --with-access')
    .action((name: string, { withAccess }: { withAccess: boolean }) =>
      session(async (master, screen) => {
        const path = `/v1/networks/${encodeURIComponent(name)}${withAccess ? '?uses=remove' : ''}`;
        const convergence = await master.call(Convergence, 'DELETE', path);
        showOne(screen, convergence, `${name} is removed: ${describeConvergence(convergence)}.`);
      }),
    );
}
