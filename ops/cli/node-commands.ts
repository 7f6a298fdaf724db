import { type Command, InvalidArgumentError } from 'commander';
import * as v from 'valibot';
import { NodeResource } from '#contract/admin.ts';
import { IssuedNodeCode, NodeCode } from '#contract/node-enrolment.ts';
import { everything, listNodes } from './find.ts';
import { confirm } from './prompt.ts';
import { ago, ahead, type Column, inert, showDetails, showList, showOne } from './screen.ts';
import { readSeconds } from './seconds.ts';
import type { Session } from './session.ts';

/** What a node is, in a word or two; what the agent said counts while it is there to say otherwise. */
function stateOf({ connected, applied, healthy, draining, vip }: NodeResource): string {
  if (applied === null) return 'not ready';
  const state = healthy === false ? 'unhealthy' : healthy === null ? 'ready' : 'healthy';
  return [
    connected ? state : `${state} when last seen`,
    ...(connected && vip ? ['active'] : []),
    ...(draining ? ['draining'] : []),
  ].join(', ');
}

function troubleOf({ problem, reasons }: NodeResource): string {
  const all = [...(problem === null ? [] : [problem]), ...reasons];
  return all.length === 0 ? 'none' : inert(all.join('; '));
}

const columns: Column<NodeResource>[] = [
  { title: 'NAME', of: (node) => node.name },
  { title: 'STATE', of: stateOf },
  { title: 'VRRP', of: ({ connected, vrrp }) => (connected ? (vrrp ?? '-') : '-') },
  { title: 'PRIORITY', of: ({ priority }) => String(priority) },
  { title: 'ENDPOINT', of: (node) => node.endpoints.join(', ') },
  { title: 'ADDRESS', of: (node) => node.tunnelAddress },
  { title: 'MESH', of: ({ mesh }) => mesh?.address ?? 'not yet' },
  { title: 'AGENT', of: (node) => (node.connected ? 'connected' : `gone, seen ${ago(node.seenAt, new Date())}`) },
  { title: 'REVISION', of: (node) => (node.applied === null ? 'closed' : String(node.applied.revision)) },
  { title: 'PROBLEM', of: troubleOf },
];

const details: Column<NodeResource>[] = [
  ...columns,
  {
    title: 'MESH ENDPOINT',
    of: ({ mesh }) => (mesh === null ? '-' : mesh.endpoints.join(', ') || 'none: it calls the others'),
  },
];

const codeColumns: Column<NodeCode>[] = [
  { title: 'ID', of: ({ id }) => id },
  { title: 'NODE', of: ({ name }) => name },
  { title: 'STATE', of: ({ state }) => state },
  { title: 'MADE', of: ({ createdAt }) => ago(createdAt, new Date()) },
  { title: 'ENDS', of: ({ state, expiresAt }) => (state === 'open' ? ahead(expiresAt, new Date()) : '-') },
];

type AddOptions = { endpoint?: string[]; priority?: number; ttl?: number };
type SetOptions = { endpoint?: string[]; meshEndpoint?: string[] | false; priority?: number };

export function addNodeCommands(program: Command, session: Session): void {
  const node = program.command('node').description('the machines that terminate tunnels');

  node
    .command('add <name>')
    .description('make a code that lets one machine become this node, and the line to run there')
    .option('--endpoint <host:port...>', 'how devices reach it from outside (the address it calls from, port 51820)')
    .option('--priority <1-254>', 'how much it is preferred; 100 when absent', readPriority)
    .option('--ttl <seconds>', 'how long the code is good; an hour when absent', readSeconds)
    .addHelpText(
      'after',
      '\nExamples:\n  postern node add n2\n  postern node add n2 --endpoint vpn2.example.com:51820 --priority 90',
    )
    .action((name: string, { endpoint, priority, ttl }: AddOptions) =>
      session(async (master, screen) => {
        const wanted = {
          name,
          ...(endpoint === undefined ? {} : { endpoints: endpoint }),
          ...(priority === undefined ? {} : { priority }),
          ...(ttl === undefined ? {} : { ttl }),
        };
        const issued = await master.call(IssuedNodeCode, 'POST', '/v1/node-codes', wanted);
        showOne(screen, issued, describe(issued));
      }),
    );

  node
    .command('list')
    .description('list the nodes, how each is and what it has in force')
    .addHelpText('after', "\nExample:\n  postern node list --json | jq '.[] | select(.healthy | not) | .name'")
    .action(() =>
      session(async (master, screen) => {
        showList(screen, await listNodes(master), columns, 'There are no nodes.');
      }),
    );

  node
    .command('show <name>')
    .description('show a node')
    .action((name: string) =>
      session(async (master, screen) =>
        showDetails(screen, await master.call(NodeResource, 'GET', pathOf(name)), details),
      ),
    );

  for (const [word, draining, description, done] of [
    [
      'drain',
      true,
      'send devices to other nodes, as before maintenance',
      'is left by its devices, and none comes to it',
    ],
    ['undrain', false, 'let devices come to it again', 'takes devices again'],
  ] as const)
    node
      .command(`${word} <name>`)
      .description(description)
      .addHelpText('after', `\nExample:\n  postern node ${word} n2`)
      .action((name: string) =>
        session(async (master, screen) => {
          const changed = await master.call(NodeResource, 'PATCH', pathOf(name), { draining });
          showOne(screen, changed, `${changed.name} ${done}.`);
        }),
      );

  node
    .command('set <name>')
    .description('say where a node is reached, and how much it is preferred')
    .option('--endpoint <host:port...>', 'how devices reach it from outside')
    .option('--mesh-endpoint <host:port...>', 'how other nodes reach it')
    .option('--no-mesh-endpoint', 'other nodes cannot call it; it calls them')
    .option('--priority <1-254>', 'how much it is preferred', readPriority)
    .addHelpText('after', '\nExample:\n  postern node set n2 --endpoint vpn2.example.com:51820 --priority 90')
    .action((name: string, { endpoint, meshEndpoint, priority }: SetOptions) =>
      session(async (master, screen) => {
        const change = {
          ...(endpoint === undefined ? {} : { endpoints: endpoint }),
          ...(Array.isArray(meshEndpoint) ? { meshEndpoints: meshEndpoint } : {}),
          ...(meshEndpoint === false ? { meshEndpoints: [] } : {}),
          ...(priority === undefined ? {} : { priority }),
        };
        const changed = await master.call(NodeResource, 'PATCH', pathOf(name), change);
        showDetails(screen, changed, details);
      }),
    );

  node
    .command('remove <name>')
    .description('remove a node; refused while lines of the policy name it')
    .option('--yes', 'do not ask', false)
    .addHelpText('after', '\nExample:\n  postern node drain n2; postern node remove n2')
    .action((name: string, { yes }: { yes: boolean }) =>
      session(async (master, screen) => {
        const { draining } = await master.call(NodeResource, 'GET', pathOf(name));
        const loss = draining ? '' : ' It is not drained: its devices will notice.';
        if (!yes && !(await confirm(`Remove the node ${name}?${loss}`, 'Say --yes to remove it.'))) {
          showOne(screen, { removed: false }, 'Nothing was changed.');
          return;
        }
        await master.call(v.undefined(), 'DELETE', pathOf(name));
        showOne(screen, { removed: true }, `${name} is removed. On that machine, run: ops/down --purge`);
      }),
    );

  const codes = node.command('codes').description('the codes for new nodes');
  codes
    .command('list', { isDefault: true })
    .description('list them, and what became of them')
    .action(() =>
      session(async (master, screen) =>
        showList(
          screen,
          await everything(master, NodeCode, '/v1/node-codes'),
          codeColumns,
          'There are no codes. Make one: postern node add NAME',
        ),
      ),
    );
  codes
    .command('withdraw <id>')
    .description('make a code worthless that no machine has used')
    .action((id: string) =>
      session(async (master, screen) => {
        await master.call(v.undefined(), 'DELETE', `/v1/node-codes/${encodeURIComponent(id)}`);
        showOne(screen, { withdrawn: true }, 'The code is withdrawn.');
      }),
    );
}

function describe({ name, code, expiresAt, join }: IssuedNodeCode): string {
  return [
    `The code for ${name}, shown this once, is good for one machine ${ahead(expiresAt, new Date()).replace('in', 'within')}:`,
    '',
    `  ${code}`,
    '',
    'On that machine, in a clone of this repository; it asks for the code:',
    '',
    `  ${join.sh}`,
  ].join('\n');
}

const pathOf = (name: string) => `/v1/nodes/${encodeURIComponent(name)}`;

function readPriority(text: string): number {
  const priority = Number(text);
  if (/^\d{1,3}$/.test(text) && priority >= 1 && priority <= 254) return priority;
  throw new InvalidArgumentError('It must be a whole number from 1 to 254.');
}
