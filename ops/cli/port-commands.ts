import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import * as v from 'valibot';
import { Convergence } from '#contract/admin.ts';
import { ClosedPort } from '#contract/places.ts';
import type { Master } from './master.ts';
import { type Column, type Screen, showList } from './screen.ts';
import type { Session } from './session.ts';

const ClosedPorts = v.object({ items: v.array(ClosedPort) });

const columns: Column<ClosedPort>[] = [
  { title: 'NODE', of: ({ node }) => node },
  { title: 'INTERFACE', of: ({ device }) => device },
  { title: 'PORT', of: ({ port }) => port },
];

type Options = { add?: string[]; remove?: string[]; node: string; dev?: string; force?: true };

export function addPortCommands(program: Command, session: Session): void {
  const port = program
    .command('port')
    .description('ports of a node that the tunnel alone leads to')
    .addOption(new Option('-a, --add <port...>', 'close these to the public').conflicts('remove'))
    .option('-r, --remove <port...>', 'open these to the public again')
    .option('--node <node>', 'the node', 'n1')
    .option('--dev <interface>', 'its public interface; on that machine itself, the one of its default route')
    .option('--force', 'close SSH too: if the tunnel fails, so does the way to repair it')
    .addHelpText(
      'after',
      '\nExamples:\n  postern port -a 5432/tcp --dev eth0\n  postern port -r tcp/5432\n  postern port list',
    )
    .action((options: Options) =>
      session(async (master, screen) => {
        const { add, remove = [], node, force } = options;
        if (add !== undefined || remove.length > 0) {
          const { stateDir } = program.opts<{ stateDir: string }>();
          const at = { node, device: await deviceOf(master, options, stateDir) };
          const ports = (add ?? remove).map(asPort);
          if (add !== undefined)
            await master.call(ClosedPorts, 'POST', '/v1/ports', { ...at, ports, ...(force ? { force } : {}) });
          else
            for (const port of ports)
              await master.call(Convergence, 'DELETE', `/v1/ports?${new URLSearchParams({ ...at, port })}`);
        }
        await showClosed(master, screen);
      }),
    );

  port
    .command('list')
    .description('list the ports that the tunnel alone leads to')
    .action(() => session(showClosed));
}

async function showClosed(master: Master, screen: Screen): Promise<void> {
  const { items } = await master.call(ClosedPorts, 'GET', '/v1/ports');
  showList(screen, items, columns, 'No port is closed to the public by the policy.');
}

/** `tcp/5432` as policies write it; `5432/tcp`, as others do, means the same. */
export function asPort(word: string): string {
  const turned = /^(\d+(?:-\d+)?)\/(tcp|udp)$/i.exec(word);
  return turned === null ? word : `${turned[2]?.toLowerCase()}/${turned[1]}`;
}

/** The interface that is meant: the one that is named, the one where ports of the node are closed, or the public one here. */
async function deviceOf(master: Master, { node, dev, remove }: Options, stateDir: string): Promise<string> {
  if (dev !== undefined) return dev;
  const { items } = await master.call(ClosedPorts, 'GET', '/v1/ports');
  const wanted = remove?.map(asPort);
  const there = items.filter((one) => one.node === node && (wanted === undefined || wanted.includes(one.port)));
  const devices = [...new Set(there.map(({ device }) => device))];
  const isHere = node === 'n1' && existsSync(join(stateDir, 'config.json'));
  const [known, other] = devices.length > 0 ? devices : [isHere ? publicDevice() : undefined];
  if (known !== undefined && other === undefined) return known;
  const why = other === undefined ? 'is not known from here' : `is one of ${devices.join(', ')}`;
  throw new Error(`The interface of ${node} ${why}. Name it with --dev INTERFACE.`);
}

/** The interface of this machine's default route. See proc_net_route in proc(5): destination and mask are in hex. */
function publicDevice(): string | undefined {
  const [, ...routes] = readFileSync('/proc/net/route', 'utf8').split('\n');
  return routes
    .map((route) => route.split('\t'))
    .find(([, to, , , , , , mask]) => to === '00000000' && mask === '00000000')?.[0];
}
